# Two commands for people: `make demo` and `make test`. Both set up all that they need on Debian 12 and Ubuntu.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
SUDO := $(shell [ "$$(id -u)" = 0 ] || command -v sudo)
# Network namespaces of one's own need no root, but somebody who can pass for it.
AS_ROOT := $(shell [ "$$(id -u)" = 0 ] || echo unshare -Urnm)
JOBS := 4
SECONDS := 600
PACKAGES := licensing cluster usbwatch agent coordinator console

# What the tests use of the system: etcd 3.4 and etcdctl beside the wheel's 3.5, a USB bus, network namespaces, partitions,
# a virtual machine, the virtual IP, packets that get lost, wrong clocks, containers, a browser and its fonts, Prometheus,
# what judges units.
TEST_DEBS := etcd-server etcd-client iproute2 libusb-1.0-0 umockdev gir1.2-umockdev-1.0 python3-gi fdisk e2fsprogs qemu-system-x86 \
  keepalived nftables faketime docker.io mmdebstrap chromium fonts-dejavu-core fonts-wqy-zenhei prometheus prometheus-alertmanager systemd
# What the benchmark uses beside that: its load comes from a compiled program.
BENCH_DEBS := wrk
# Debian's kernel, busybox and udevd for that machine, unpacked here and not installed.
KERNEL := .cache/kernel
# Grafana's own types, by which the dashboard is checked.
GRAFANA := .cache/grafana
# What container images are built on in the tests, in the place of the official ones: made with apt, as no registry is asked.
STAND_IN := .cache/containers/stand-in.tar
# A machine with systemd, etcd and keepalived, on which the package is installed in the tests.
MACHINE := .cache/containers/machine.tar
# Both helms, for the tests of the chart.
HELM := .cache/helm

.DEFAULT_GOAL := help
.PHONY: help demo test check unit integration dashboard-types chart kernel containers deb dist fuzz measure bench faults history format docs older screenshots debs clean

help: ## Say what can be made.
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 20

demo: $(READY) ## Run a two-node site on this machine; Ctrl-C ends it.
	@exec $(BIN)/twinkey demo

test: check unit integration ## Check the code and run every test.

check: $(READY) ## Style, types and the picture of the folders.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

unit: $(READY) ## The tests that need nothing but Python.
	$(BIN)/pytest -q -n $(JOBS) --dist loadfile tests/unit

integration: $(READY) debs $(HELM) dashboard-types kernel containers ## The tests on real parts: etcd, libusb, netlink, whole sites.
	$(BIN)/pytest -q -n $(JOBS) --dist loadfile --no-loadscope-reorder tests/integration \
	  --ignore tests/integration/kernel --ignore tests/integration/containers --ignore tests/integration/packages

containers: $(READY) debs $(STAND_IN) $(MACHINE) ## The tests with containers, for which a Docker daemon is started as root.
	$(SUDO) $(BIN)/pytest -q tests/integration/containers tests/integration/packages

chart: $(READY) $(HELM) ## The tests of the Helm chart, with helm 3 and helm 4.
	$(BIN)/pytest -q tests/integration/chart

dashboard-types: $(GRAFANA)/package-lock.json

kernel: $(READY) debs ## The tests on a real kernel, in one virtual machine; alone, since it takes all processors.
	$(BIN)/pytest -q tests/integration/kernel

deb: $(READY) ## Build the Debian package of this system's Python, in dist.
	packaging/deb/build dist

dist: deb ## Build what is released, in dist: the Debian package, the wheel, the source.
	$(BIN)/python -m build --outdir dist

fuzz: $(READY) ## Fuzz what reads bytes from outside, for SECONDS=600.
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[fuzz]'
	PYTHONPATH=. $(BIN)/python tests/fuzz/parsers.py $(SECONDS)

measure: $(READY) debs ## How soon a plugged USB key is published, and what watching the bus costs.
	$(BIN)/python -m tests.measure.usb_bus

bench: $(READY) ## Measure everything beside its floor and write docs/performance.md; BENCH='--quick --only NAME' for less.
	@$(MAKE) --no-print-directory packages TEST_DEBS="$(BENCH_DEBS)"
	$(BIN)/python -m tests.bench.benchmark $(BENCH)

faults: $(READY) debs ## Play every fault ten times and write docs/faults.md; for a machine that does nothing else.
	$(AS_ROOT) $(BIN)/python -m tests.netsite.fault_table --rounds 10 --sites 2

history: $(READY) debs ## Random faults for SECONDS=600, and a check of all that was recorded.
	$(AS_ROOT) $(BIN)/python -m tests.netsite.check_history --seconds $(SECONDS)

format: $(READY) ## Put the code into its form.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(READY) ## Write the pages that are made from the code.
	$(BIN)/python -m console.settings_page > docs/settings.md

older: $(READY) debs ## Freeze the release REF (a tag), which the tests run beside this tree, and what it stores.
	rm -f tests/integration/mixed/older/*.whl
	$(BIN)/pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir tests/integration/mixed/older \
	  'git+file://$(CURDIR)@$(REF)'
	$(BIN)/python -m tests.integration.mixed.stored_state

screenshots: $(READY) packages ## Take the README's pictures of the web page from the demo.
	$(BIN)/python -m tests.integration.page.pictures docs/pictures

clean: ## Remove what was made here.
	rm -rf $(VENV) .cache .demo dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find $(PACKAGES) tests -name __pycache__ -type d -exec rm -rf {} +

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  is=$$(command -v $(PYTHON) >/dev/null && $(PYTHON) --version 2>&1 | head -n 1); \
	  echo "Twinkey needs Python 3.11 or newer; '$(PYTHON)' is $${is:-missing}."; \
	  echo "Install one and name it: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || $(MAKE) --no-print-directory python-venv
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --use-pep517 --editable '.[dev,etcd]' || { \
	  echo "The packages of pyproject.toml could not be installed: is a Python package index reachable?"; exit 1; }
	@touch $@

# Debian and Ubuntu keep the venv module in a package of its own.
.PHONY: python-venv
python-venv:
	@command -v apt-get >/dev/null || { echo "Python's venv module is missing: install it with your system's packages."; exit 1; }
	@[ "$$(id -u)" = 0 ] || [ -n "$(SUDO)" ] || { echo "Python's venv module is missing: install python3-venv as root."; exit 1; }
	$(SUDO) apt-get update -qq
	$(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
	  python$$($(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv

debs: packages $(KERNEL)

.PHONY: packages
packages:
	@missing=$$(for deb in $(TEST_DEBS); do dpkg -s $$deb >/dev/null 2>&1 || echo $$deb; done); \
	if [ -n "$$missing" ]; then \
	  command -v apt-get >/dev/null || { echo "The tests need what Debian calls:" $$missing; exit 1; }; \
	  [ "$$(id -u)" = 0 ] || [ -n "$(SUDO)" ] || { echo "Install as root what the tests need: apt-get install" $$missing; exit 1; }; \
	  $(SUDO) apt-get update -qq && \
	  $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing; \
	fi

$(KERNEL): tests/kernel/fetch | packages
	@$(SUDO) apt-get update -qq || echo "apt could not look for the newest kernel; perhaps it knows one."
	tests/kernel/fetch $@
	@touch $@

$(HELM): tests/integration/chart/fetch-helm | $(READY)
	tests/integration/chart/fetch-helm $@
	@touch $@

$(STAND_IN): tests/integration/containers/make-stand-in | packages
	@$(SUDO) apt-get update -qq || echo "apt could not look for the newest packages; perhaps it knows some."
	@mkdir -p $(@D)
	$(SUDO) tests/integration/containers/make-stand-in $@

$(MACHINE): tests/integration/packages/make-machine | packages
	@$(SUDO) apt-get update -qq || echo "apt could not look for the newest packages; perhaps it knows some."
	@mkdir -p $(@D)
	$(SUDO) tests/integration/packages/make-machine $@

$(GRAFANA)/package-lock.json: tests/integration/monitoring/types/package-lock.json
	@command -v npm >/dev/null || { $(SUDO) apt-get update -qq && \
	  $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends nodejs npm; }
	@mkdir -p $(@D)
	cp tests/integration/monitoring/types/package.json $(@D)
	cp $< $@ && npm ci --prefix $(@D) --ignore-scripts --no-audit --no-fund || { rm -f $@; exit 1; }

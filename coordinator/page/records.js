// The licensing record: sorted, filtered and paged by the site, and to be taken away as CSV.

import { address, call, query, read } from "./api.js";
import { byId, el, put, said } from "./dom.js";
import { number, when } from "./format.js";
import { icon } from "./icons.js";
import { listed, t, word } from "./language.js";
import { problem } from "./orders.js";
import { save } from "./saving.js";
import { status } from "./site.js";
import { units } from "./standing.js";
import { verification } from "./verification.js";

const PAGE = 20;
const LONG = 300_000; // milliseconds for the whole of a long record
const TYPING = 300; // milliseconds without a key until the text is searched for
const COLUMNS = [
  ["number", (record) => number(record.number)],
  ["uploadDate", (record) => when(record.uploadDate)],
  ["action", (record) => [el("span", {}, word("action", record.action)), said(record.sentence, "small")]],
  ["managementType", (record) => word("source", record.managementType)],
  [
    "authorizationMethod",
    (record) => listed(record.authorizationMethod.map((unit) => word("unit", unit))) || t("records.unlimited"),
  ],
  ["item", (record) => [word("item", record.item), record.name !== record.item && el("small", {}, record.name)]],
  ["quota", quota],
  ["status", (record) => validity(record.status)],
  ["issuedDate", (record) => when(record.issuedDate)],
  ["expiredDate", (record) => when(record.expiredDate)],
  ["replaced", (record) => (record.replaced ? el("code", {}, record.replaced) : "–")],
  ["who", (record) => record.who],
  ["node", (record) => nodeName(record.node)],
];
const SORTABLE = ["uploadDate", "issuedDate", "expiredDate"];

const filters = { managementType: "", status: "", text: "" };
const order = { sortBy: "uploadDate", sortDirection: "desc" };
let start = 0;
let total = 0;
let latest = 0; // only the newest question is answered on the page

/** Show the record, and follow what is added to it. */
export function showRecords() {
  put(
    byId("records-body"),
    el(
      "form",
      {
        class: "filters",
        role: "search",
        "aria-label": t("records.filters"),
        onsubmit: (event) => event.preventDefault(),
      },
      fields(),
    ),
    el("div", {
      id: "records-table",
      class: "scroll",
      tabindex: "0",
      role: "region",
      "aria-label": t("records.table"),
    }),
    el(
      "div",
      { class: "pager" },
      el("p", { id: "records-shown", role: "status", "aria-label": t("records.shown") }),
      el("button", { id: "records-earlier", type: "button", onclick: () => turn(-PAGE) }, t("records.previous")),
      el("button", { id: "records-later", type: "button", onclick: () => turn(PAGE) }, t("records.next")),
      el("a", { id: "records-csv", class: "button", download: true, onclick: exportAll }, t("records.csv")),
    ),
    el("div", { id: "records-export", role: "status", "aria-label": t("records.export") }),
    verification(),
  );
  status.watch((after, before) => {
    if (!before || after.index !== before.index) load();
  });
}

function fields() {
  const search = el("input", { id: "records-text", type: "search", autocomplete: "off", maxlength: "200" });
  let timer = 0;
  search.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => filter("text", search.value.trim()), TYPING);
  });
  return [
    el("div", {}, el("label", { for: "records-text" }, t("records.text")), search),
    choice("managementType", "source", ["usb-key", "request-key", "built-in"]),
    choice("status", "validity", ["Valid", "Expired"]),
  ];
}

function choice(name, group, values) {
  const id = `records-${name}`;
  const select = el(
    "select",
    { id, onchange: () => filter(name, select.value) },
    el("option", { value: "" }, t("records.all")),
    values.map((value) => el("option", { value }, word(group, value))),
  );
  return el("div", {}, el("label", { for: id }, t(`records.${name}`)), select);
}

function filter(name, value) {
  filters[name] = value;
  start = 0;
  load();
}

function turn(by) {
  start = Math.max(0, start + by);
  load();
}

function sort(by) {
  order.sortDirection = order.sortBy === by && order.sortDirection === "desc" ? "asc" : "desc";
  order.sortBy = by;
  start = 0;
  load();
}

async function load() {
  const mine = (latest += 1);
  try {
    const page = await read(`/licenses/records${query({ ...filters, ...order, start, limit: PAGE })}`);
    if (mine !== latest) return;
    total = page.total;
    if (start >= total && start > 0) {
      start = 0;
      load();
      return;
    }
    put(
      byId("records-table"),
      table(page.inventories),
      page.reasons.map((reason) => said(reason, "p")),
    );
  } catch (error) {
    if (mine !== latest) return;
    put(byId("records-table"), problem(error));
  }
  showPager();
}

const wholeRecord = () => `/licenses/records.csv${query({ ...filters, ...order })}`;

/** Save the whole record in a file. It is called for and not only linked to, so that a refusal can be shown. */
async function exportAll(event) {
  event.preventDefault();
  const place = byId("records-export");
  put(place, el("p", {}, t("records.exporting")), el("progress", { "aria-label": t("records.exporting") }));
  try {
    const response = await call("GET", wholeRecord(), { patience: LONG });
    const [, name] = /filename="([^"]+)"/.exec(response.headers.get("Content-Disposition"));
    save(await response.blob(), name);
    put(place);
  } catch (error) {
    put(place, problem(error));
  }
}

function showPager() {
  const end = Math.min(start + PAGE, total);
  const [earlier, later] = [byId("records-earlier"), byId("records-later")];
  const held = [earlier, later].find((button) => button === document.activeElement);
  put(
    byId("records-shown"),
    total ? t("records.range", { from: number(start + 1), to: number(end), total: number(total) }) : t("records.none"),
  );
  earlier.disabled = start === 0;
  later.disabled = end >= total;
  // a button that is switched off loses the keyboard, which would then begin at the top of the page
  if (held?.disabled) ([earlier, later].find((button) => !button.disabled) ?? byId("records-table")).focus();
  byId("records-csv").href = address(wholeRecord());
}

const table = (records) =>
  el(
    "table",
    {},
    el("caption", { class: "unseen" }, t("records.title")),
    el(
      "thead",
      {},
      el(
        "tr",
        {},
        COLUMNS.map(([name]) => heading(name)),
      ),
    ),
    el(
      "tbody",
      {},
      records.map((record) =>
        el(
          "tr",
          {},
          COLUMNS.map(([, cell]) => el("td", {}, cell(record))),
        ),
      ),
    ),
  );

function heading(name) {
  const label = t(`records.${name}`);
  if (!SORTABLE.includes(name)) return el("th", { scope: "col" }, label);
  const sorted = order.sortBy === name ? { asc: "ascending", desc: "descending" }[order.sortDirection] : "none";
  const button = el("button", { id: `sort-${name}`, type: "button", class: "sort", onclick: () => sort(name) }, label);
  return el("th", { scope: "col", "aria-sort": sorted }, button);
}

function validity(value) {
  const shape = value === "Valid" ? "ok" : "error";
  return el("span", { class: `tag ${shape}` }, icon(shape), word("validity", value));
}

function quota(record) {
  const limits = units.filter((unit) => record.quota[unit] !== undefined);
  return (
    limits
      .map((unit) => t("records.limit", { unit: word("unit", unit), count: number(record.quota[unit]) }))
      .join(", ") || t("records.unlimited")
  );
}

const nodeName = (uuid) => status.value?.nodes.find((node) => node.managementNodeUuid === uuid)?.name ?? uuid;

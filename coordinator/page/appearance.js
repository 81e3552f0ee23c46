// Light or dark as it was chosen last, before anything is painted; that is why this one script is not a module.

try {
  const chosen = localStorage.getItem("appearance");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.appearance = chosen;
} catch {
  // The browser keeps nothing for this page: then it looks as the system does.
}

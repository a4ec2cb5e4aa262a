(() => {
  "use strict";
  const root = document.body.dataset.root;

  // Search: the index is a script, loaded when the field is first used, since a page from a disk may not fetch.
  const field = document.getElementById("find-text");
  const list = document.getElementById("find-list");
  const status = document.getElementById("find-count");
  const MOST = 12;
  let index = null;
  let chosen = -1;

  const load = () => {
    if (index) return;
    index = [];
    const script = document.createElement("script");
    script.src = `${root}assets/search-index.js`;
    script.onload = () => {
      index = window.siteIndex.map(([kind, title, path, text]) => ({
        kind, title, path, text, low: `${title} ${text}`.toLowerCase(),
      }));
      if (field.value) find();
    };
    document.head.append(script);
  };

  const ORDER = ["guide", "notebook", "error", "capability", "operation", "requirement", "page", "decision", "mutant"];
  const score = (entry, words) => {
    const title = entry.title.toLowerCase();
    let points = 0;
    for (const word of words) {
      if (!entry.low.includes(word)) return -1;
      points += title === word ? 100 : title.startsWith(word) ? 30 : title.includes(word) ? 15 : 1;
    }
    return points - ORDER.indexOf(entry.kind) / 10;
  };

  const close = () => {
    list.hidden = true;
    chosen = -1;
    field.setAttribute("aria-expanded", "false");
    field.removeAttribute("aria-activedescendant");
  };

  const choose = (at) => {
    const items = [...list.children];
    if (!items.length) return;
    chosen = (at + items.length) % items.length;
    items.forEach((item, i) => item.setAttribute("aria-selected", String(i === chosen)));
    items[chosen].scrollIntoView({ block: "nearest" });
    field.setAttribute("aria-activedescendant", items[chosen].id);
  };

  const find = () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    list.replaceChildren();
    if (!words.length) {
      status.textContent = "";
      return close();
    }
    const hits = index
      .map((entry) => [score(entry, words), entry])
      .filter(([points]) => points > -1)
      .sort((a, b) => b[0] - a[0]);
    hits.slice(0, MOST).forEach(([, entry], i) => {
      const item = document.createElement("li");
      item.id = `find-${i}`;
      item.setAttribute("role", "option");
      item.setAttribute("aria-selected", "false");
      item.dataset.path = entry.path;
      const kind = document.createElement("small");
      const title = document.createElement("strong");
      const text = document.createElement("span");
      [kind.textContent, title.textContent, text.textContent] = [entry.kind, entry.title, entry.text];
      item.append(kind, title, text);
      list.append(item);
    });
    status.textContent = hits.length ? `${hits.length} found` : "Nothing found";
    list.hidden = !hits.length;
    field.setAttribute("aria-expanded", String(hits.length > 0));
    if (hits.length) choose(0);
  };

  const go = (item) => {
    close();
    location.href = root + item.dataset.path;
  };

  field.disabled = false;
  field.addEventListener("focus", load);
  field.addEventListener("input", find);
  field.addEventListener("blur", () => setTimeout(close, 150));
  field.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      choose(chosen + (event.key === "ArrowDown" ? 1 : -1));
    } else if (event.key === "Enter" && list.children[chosen] && !list.hidden) {
      event.preventDefault();
      go(list.children[chosen]);
    } else if (event.key === "Escape") {
      field.value = "";
      close();
    }
  });
  list.addEventListener("mousedown", (event) => event.preventDefault());
  list.addEventListener("click", (event) => {
    const item = event.target.closest("li");
    if (item) go(item);
  });
  addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, textarea, select, [contenteditable]")) return;
    event.preventDefault();
    field.focus();
  });

  // The list beside a page starts folded where it would push the page away.
  const beside = document.querySelector(".beside");
  if (beside && matchMedia("(max-width: 60rem)").matches) beside.open = false;
  const here = beside?.querySelector("[aria-current]");
  if (here && here.offsetTop > beside.clientHeight - 40) beside.scrollTop = here.offsetTop - beside.clientHeight / 2;

  // The filter of the catalogue.
  const form = document.getElementById("filter");
  if (!form) return;
  const entries = [...document.querySelectorAll(".entry")];
  const parts = [...document.querySelectorAll(".area-part")];
  const text = document.getElementById("filter-text");
  const capability = document.getElementById("filter-capability");
  const count = document.getElementById("filter-count");
  const none = document.getElementById("filter-none");
  for (const entry of entries) entry.low = `${entry.textContent.toLowerCase()} ${entry.dataset.more}`;

  const apply = () => {
    const words = text.value.toLowerCase().split(/\s+/).filter(Boolean);
    const levels = new Set([...form.querySelectorAll("input[name=level]:checked")].map((box) => box.value));
    let shown = 0;
    for (const entry of entries) {
      entry.hidden = !(
        levels.has(entry.dataset.level) &&
        (!capability.value || entry.dataset.capability === capability.value) &&
        words.every((word) => entry.low.includes(word))
      );
      shown += entry.hidden ? 0 : 1;
    }
    for (const part of parts) part.hidden = !part.querySelector(".entry:not([hidden])");
    none.hidden = shown > 0;
    count.textContent = `${shown} of ${entries.length} shown`;
  };

  form.hidden = false;
  form.addEventListener("input", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  document.getElementById("filter-reset").addEventListener("click", () => {
    form.reset();
    apply();
    text.focus();
  });
  apply();
})();

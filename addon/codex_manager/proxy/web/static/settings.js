// The filter of the settings page: rows whose name or explanation has none of the words are hidden.
"use strict";

(() => {
  function filter() {
    const words = document.getElementById("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
    let found = 0;
    for (const section of document.querySelectorAll(".settings section")) {
      const rows = [...section.querySelectorAll(".setting")];
      let any = false;
      for (const row of rows) {
        row.hidden = !words.every((word) => row.dataset.find.toLowerCase().includes(word));
        any ||= !row.hidden;
        found += row.hidden ? 0 : 1;
      }
      if (!rows.length) {
        any = words.every((word) => (section.dataset.find || "").includes(word));
        found += any ? 1 : 0;
      }
      section.hidden = !any;
    }
    const none = document.getElementById("none-found");
    none.textContent = found ? "" : none.dataset.none;
  }

  document.addEventListener("DOMContentLoaded", () => document.getElementById("filter").addEventListener("input", filter));
  document.addEventListener("htmx:afterSettle", filter);
})();

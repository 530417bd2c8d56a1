// What pages do by themselves: times in the reader's own zone, countdowns, and saying when the connection is gone.
// Everything else is htmx and HTML made by the server.
"use strict";

(() => {
  const lang = document.documentElement.lang || "en";
  const full = new Intl.DateTimeFormat(lang, { dateStyle: "medium", timeStyle: "medium" });
  const clock = new Intl.DateTimeFormat(lang, { timeStyle: "medium" });

  function left(seconds) {
    const s = Math.max(0, Math.ceil(seconds));
    if (s < 60) return `${s} s`;
    if (s < 3600) return `${Math.floor(s / 60)} min ${String(s % 60).padStart(2, "0")} s`;
    return s < 172800 ? `${Math.floor(s / 3600)} h ${String(Math.floor((s % 3600) / 60)).padStart(2, "0")} min` : `${Math.floor(s / 86400)} d`;
  }

  // <time datetime="…" data-show="clock|full|left">: as a time of day, whole, or what is left until then.
  function show(root) {
    const now = Date.now();
    const found = root.querySelectorAll ? [...root.querySelectorAll("time[data-show]")] : [];
    if (root.matches && root.matches("time[data-show]")) found.push(root);
    for (const element of found) {
      const at = Date.parse(element.dateTime);
      if (Number.isNaN(at)) continue;
      const how = element.dataset.show;
      const text = how === "left" ? left((at - now) / 1000) : (how === "clock" ? clock : full).format(at);
      if (element.textContent !== text) element.textContent = text;
      if (!element.title) element.title = full.format(at);
    }
  }

  document.addEventListener("DOMContentLoaded", () => show(document));
  document.addEventListener("htmx:load", (event) => show(event.detail.elt));
  document.addEventListener("htmx:oobAfterSwap", (event) => show(event.detail.target));
  document.addEventListener("htmx:wsAfterMessage", () => show(document));
  setInterval(() => document.querySelectorAll("time[data-show='left']").forEach(show), 1000);

  const lost = () => document.getElementById("lost");
  document.addEventListener("htmx:wsClose", () => { lost().hidden = false; });
  document.addEventListener("htmx:wsError", () => { lost().hidden = false; });
  document.addEventListener("htmx:wsOpen", () => { lost().hidden = true; });
  document.addEventListener("htmx:sendError", () => { lost().hidden = false; });
  document.addEventListener("htmx:afterRequest", (event) => { if (event.detail.successful) lost().hidden = true; });

  // <dialog> opened by [data-opens="#id"], closed by [data-closes] and by Escape (the browser's own).
  document.addEventListener("click", (event) => {
    const opener = event.target.closest("[data-opens]");
    if (opener) document.querySelector(opener.dataset.opens)?.showModal();
    const closer = event.target.closest("[data-closes]");
    if (closer) closer.closest("dialog")?.close();
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    const dialog = event.detail.target.closest?.("dialog") || event.detail.target.querySelector?.("dialog[data-shown]");
    if (dialog && dialog.dataset.shown !== undefined && !dialog.open) dialog.showModal();
  });
})();

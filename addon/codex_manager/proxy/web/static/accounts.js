// The dialog of the accounts page: closed when its work is done, emptied of what was typed into it, its mistakes shown beside the fields.
"use strict";

// Of what is pushed, leave out what this page has no place for: an account that was added elsewhere moves before its row is here.
htmx.defineExtension("places", {
  transformResponse(text, xhr) {
    if (xhr) return text; // an answer to this page, not a push
    const pushed = document.createElement("template");
    pushed.innerHTML = text;
    for (const part of [...pushed.content.children]) if (!document.getElementById(part.id)) part.remove();
    return pushed.innerHTML;
  },
});

document.addEventListener("DOMContentLoaded", () => {
  const sheet = document.getElementById("sheet");
  let opener = "";

  // Where the dialog was opened from, by id: the list may be a new one when it closes.
  sheet.addEventListener("close", () => {
    sheet.replaceChildren();
    const from = document.getElementById(opener);
    if (from && (document.activeElement === document.body || document.activeElement === null)) from.focus();
  });
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (!sheet.open && event.detail.target === sheet) opener = event.detail.elt.id;
  });
  document.addEventListener("sheet-done", () => sheet.close());

  // What the server said about fields stands in `.wrong`; readers of the screen are told which fields it is about.
  document.addEventListener("htmx:afterRequest", (event) => {
    const form = event.detail.elt;
    if (!form.matches?.("form.fields")) return;
    let first = null;
    for (const wrong of form.querySelectorAll(".wrong")) {
      const input = wrong.parentElement.querySelector("input, textarea");
      const bad = wrong.textContent.trim() !== "";
      if (bad) input.setAttribute("aria-invalid", "true"); else input.removeAttribute("aria-invalid");
      if (bad) { const folded = input.closest("details"); if (folded) folded.open = true; first ??= input; }
    }
    first?.focus();
  });

  // The browser itself saves an export, so nobody tells us when that is done.
  document.addEventListener("input", (event) => {
    const form = event.target.form;
    if (form?.id !== "export-form") return;
    const again = form.elements.again;
    again.setCustomValidity(again.value === form.elements.passphrase.value ? "" : form.dataset.differ);
  });
  document.addEventListener("submit", (event) => {
    if (event.target.id === "export-form") setTimeout(() => sheet.close(), 0);
  });

  // Another choice in the import form makes what was shown void.
  document.addEventListener("change", (event) => {
    if (event.target.form?.id === "import-form") document.getElementById("import-preview").replaceChildren();
  });

  document.addEventListener("click", async (event) => {
    const button = event.target.closest?.("[data-copies]");
    if (!button) return;
    const input = document.querySelector(button.dataset.copies);
    try { await navigator.clipboard.writeText(input.value); button.textContent = button.dataset.copied; } catch { input.select(); }
  });
});

// The page about this install: copying what stands in a box.
"use strict";

document.addEventListener("click", async (event) => {
  const button = event.target.closest?.("[data-copies]");
  if (!button || button.dataset.before) return;
  const box = document.querySelector(button.dataset.copies);
  try {
    await navigator.clipboard.writeText(box.textContent);
    button.dataset.before = button.textContent;
    button.textContent = button.dataset.done;
    setTimeout(() => { button.textContent = button.dataset.before; delete button.dataset.before; }, 2000);
  } catch {
    getSelection().selectAllChildren(box);
  }
});

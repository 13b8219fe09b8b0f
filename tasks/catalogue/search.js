"use strict";
(() => {
  const form = document.getElementById("search");
  const rows = Array.from(document.querySelectorAll("tr[data-text]"));
  const count = document.getElementById("count");
  const show = () => {
    const words = form.elements.words.value.toLowerCase().split(/\s+/).filter(Boolean);
    const problem = form.elements.problem.value;
    const released = form.elements.released.checked;
    let seen = 0;
    for (const row of rows) {
      const fits =
        words.every((word) => row.dataset.text.includes(word)) &&
        (!problem || row.dataset.problem === problem) &&
        (!released || row.dataset.release !== "open");
      row.hidden = !fits;
      seen += fits;
    }
    count.textContent = `${seen} of ${rows.length} shown`;
  };
  form.hidden = false;
  form.addEventListener("input", show);
  form.addEventListener("reset", () => setTimeout(show));
  form.addEventListener("submit", (event) => event.preventDefault());
  show();
})();

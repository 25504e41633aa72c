// Fills the body of a table from a <template>: one clone per item, its [data-cell] elements by name.
export function fillRows(body, template, items, write) {
  const rows = items.map((item) => {
    const row = template.content.firstElementChild.cloneNode(true);
    for (const [name, text] of Object.entries(write(item, row))) {
      row.querySelector(`[data-cell="${name}"]`).textContent = text;
    }
    return row;
  });
  body.replaceChildren(...rows);
}

// One row that says why there is nothing.
export function fillEmpty(body, columns, text) {
  const cell = document.createElement("td");
  cell.colSpan = columns;
  cell.className = "quiet";
  cell.textContent = text;
  const row = document.createElement("tr");
  row.append(cell);
  body.replaceChildren(row);
}

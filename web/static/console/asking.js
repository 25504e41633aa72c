// Asks before what cannot be taken back: a dialog with a reason, the keyboard's Escape says no.
export function confirmed({ title, text, verb, tone = "main", option = "" }) {
  const dialog = document.createElement("dialog");
  dialog.setAttribute("aria-labelledby", "confirm-title");
  const heading = Object.assign(document.createElement("h2"), { id: "confirm-title", textContent: title });
  const reason = Object.assign(document.createElement("p"), { textContent: text, className: "confirm-text" });
  const form = Object.assign(document.createElement("form"), { method: "dialog", className: "buttons" });
  const no = Object.assign(document.createElement("button"), { className: "button", value: "no", textContent: "Cancel", autofocus: true });
  const yes = Object.assign(document.createElement("button"), { className: `button button-${tone}`, value: "yes", textContent: verb });
  const box = Object.assign(document.createElement("input"), { type: "checkbox", id: "confirm-option" });
  if (option) {
    const label = Object.assign(document.createElement("label"), { className: "choice" });
    label.append(box, document.createTextNode(option));
    form.append(label);
  }
  form.append(yes, no);
  dialog.append(heading, reason, form);
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((answer) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      answer(dialog.returnValue === "yes" ? { isChosen: box.checked } : null);
    });
  });
}

for (const form of document.querySelectorAll("form[data-confirm]")) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const { confirm: title, what: text, verb, tone } = form.dataset;
    if (await confirmed({ title, text, verb, tone })) form.submit();
  });
}

// What is wrong now, at the top of the overview and of the operations page.
export function showWrong({ wrong, detail }) {
  document.querySelector('[data-value="detail"]').textContent = detail;
  const banner = document.querySelector("[data-banner]");
  const isBad = wrong.some(({ severity }) => severity === "critical");
  banner.hidden = !wrong.length;
  banner.classList.toggle("banner-bad", isBad);
  banner.classList.toggle("banner-warn", !isBad);
  const list = document.querySelector("[data-wrong]");
  const lines = wrong.map(({ what, alert }) => `${what} Runbook: ${alert}`);
  if (list.dataset.said === lines.join()) return; // a screen reader would say it again every two seconds
  list.dataset.said = lines.join();
  list.replaceChildren(...wrong.map(({ what, alert }) => {
    const [item, see] = [document.createElement("li"), document.createElement("span")];
    see.className = "plain";
    see.textContent = `Runbook: ${alert}`;
    item.append(`${what} `, see);
    return item;
  }));
}

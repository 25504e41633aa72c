// Shows the OpenAPI document with the viewer that ships in vendor/; nothing here asks another host.
const target = document.getElementById("api");
window.SwaggerUIBundle({
  url: target.dataset.document,
  domNode: target,
  deepLinking: true,
  validatorUrl: null,
  queryConfigEnabled: false,
  tryItOutEnabled: true,
  displayRequestDuration: true,
  defaultModelsExpandDepth: 0,
});

const dark = window.matchMedia("(prefers-color-scheme: dark)");
const followScheme = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", followScheme);
followScheme();

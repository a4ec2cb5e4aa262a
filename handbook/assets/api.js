(() => {
  "use strict";
  // Served by the reference, requests can be tried on it; from a disk or another server there is nothing to ask.
  const served = location.protocol.startsWith("http") && location.pathname.includes("/docs/");
  const content = JSON.parse(document.getElementById("openapi").textContent);
  if (!served) content.servers = [{ url: "https://api.example.com/api/v1", description: "Any host" }];
  Scalar.createApiReference("#reference", {
    content,
    withDefaultFonts: false,
    telemetry: false,
    hideClientButton: true,
    hideTestRequestButton: !served,
    showDeveloperTools: "never",
    agent: { disabled: true },
    mcp: { disabled: true },
    hideDarkModeToggle: true,
    forceDarkModeState: matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light",
    defaultHttpClient: { targetKey: "shell", clientKey: "curl" },
    authentication: { preferredSecurityScheme: "bearer" },
    operationTitleSource: "summary",
  });
})();

(() => {
  "use strict";
  // Served by the reference, requests can be tried on it; from a disk or another server there is nothing to ask.
  const served = location.protocol.startsWith("http") && location.pathname.includes("/docs/");
  const content = JSON.parse(document.getElementById("openapi").textContent);
  if (!served) content.servers = [{ url: "https://api.example.com/api/v1", description: "Any host" }];
  // The colours of the site, which also have the contrast that the renderer's own lack.
  const customCss = `
    .light-mode, .dark-mode {
      --scalar-color-1: var(--ink); --scalar-color-2: var(--soft); --scalar-color-3: var(--soft);
      --scalar-sidebar-color-1: var(--ink); --scalar-sidebar-color-2: var(--soft);
      --scalar-background-1: var(--paper); --scalar-background-2: var(--sheet); --scalar-border-color: var(--line);
      --scalar-sidebar-background-1: var(--paper); --scalar-sidebar-border-color: var(--line);
      --scalar-color-accent: var(--link); --scalar-color-blue: var(--link);
    }
    .light-mode, .dark-mode { --scalar-color-green: #1f6b40; --scalar-color-red: #a3221b; --scalar-color-orange: #8a3b12; --scalar-color-yellow: #7a5600; --scalar-color-purple: #5b3fa0; }
    @media (prefers-color-scheme: dark) {
      .light-mode, .dark-mode { --scalar-color-green: #7fc79a; --scalar-color-red: #f0928c; --scalar-color-orange: #e2a076; --scalar-color-yellow: #e3c26a; --scalar-color-purple: #c3aef0; }
    }
    .sidebar-search-placeholder { color: var(--soft) !important; }
  `;
  Scalar.createApiReference("#reference", {
    customCss,
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

  // Some of the renderer's buttons show an icon and have no name.
  const name = () => {
    for (const button of document.querySelectorAll("button.scalar-code-copy:not([aria-label])")) {
      button.setAttribute("aria-label", "Copy");
    }
  };
  new MutationObserver(name).observe(document.getElementById("reference"), { childList: true, subtree: true });
})();

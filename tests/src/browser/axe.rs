//! Accessibility, by axe-core (`tests/vendor/axe-core`): nothing may be found, neither a violation nor a duty unmet.

use std::fmt::Write as _;

use anyhow::ensure;
use serde_json::Value;

use super::tab::Tab;

const AXE: &str = include_str!("../../vendor/axe-core/axe.min.js");
/// WCAG 2.0 to 2.2, A and AA, and what axe calls best practice. Contrast needs colours at rest: animations end first.
const RUN: &str = r#"
(async () => {
  await Promise.all(document.getAnimations().filter((one) => one.effect?.getComputedTiming().iterations === 1).map((one) => one.finished.catch(() => {})));
  const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
  const found = await axe.run(document, { runOnly: tags, resultTypes: ["violations"] });
  return found.violations.map(({ id, help, nodes }) => ({
    id, help, nodes: nodes.map((node) => `${node.target.join(" ")}: ${node.html.slice(0, 160)} ${node.failureSummary}`),
  }));
})()"#;

impl Tab {
    /// Fails with everything that axe finds on the page as it is now; `state` says which that is.
    pub async fn is_accessible(&self, state: &str) -> anyhow::Result<()> {
        if self.eval("!window.axe").await? == true {
            self.call("Runtime.evaluate", serde_json::json!({"expression": AXE}))
                .await?;
        }
        let found = self.eval(RUN.trim()).await?;
        let mut told = String::new();
        for violation in found.as_array().into_iter().flatten() {
            writeln!(told, "{}: {}", violation["id"], violation["help"])?;
            for node in violation["nodes"].as_array().into_iter().flatten().take(4) {
                writeln!(told, "    {}", node.as_str().unwrap_or_default().replace('\n', " "))?;
            }
        }
        ensure!(
            found.is_array() && told.is_empty(),
            "{state}, {:?}:\n{told}{}",
            self.screen(),
            none(&found)
        );
        Ok(())
    }
}

fn none(found: &Value) -> &'static str {
    if found.is_array() { "" } else { "axe did not run" }
}

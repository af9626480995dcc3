//! What the one-command run prints: where everything is.

use std::fmt::Write;

use kit::db::Location;

use crate::{Hub, Role};

/// Aligned addresses of a running hub.
pub fn text(hub: &Hub) -> String {
    let public = &hub.common.public_url;
    let mut lines = vec![
        ("Page", format!("{public}/connections")),
        ("API", format!("{public}/api/v1")),
        ("API documentation", format!("{public}/api/v1/docs")),
    ];
    for (role, address) in &hub.addresses {
        match role {
            Role::Gateway => {}
            Role::Sandbox => lines.push(("Imitated platforms", format!("http://{address}/"))),
            Role::Accounts => lines.push(("gRPC accounts", address.to_string())),
            Role::Tokens => lines.push(("gRPC tokens", address.to_string())),
            Role::Platforms => lines.push(("gRPC platforms", address.to_string())),
            Role::Entitlements => lines.push(("gRPC entitlements", address.to_string())),
        }
    }
    lines[3..].sort_by_key(|(name, _)| !name.starts_with("gRPC"));
    lines.push(("Metrics", format!("http://{}/metrics", hub.config.metrics.listen)));
    lines.push(match &hub.common.database {
        Location::Folder(folder) => ("Data", folder.display().to_string()),
        Location::Postgres(_) => ("Data", "PostgreSQL".to_owned()),
    });
    let mut text = String::from("Socializioz Connections runs.\n\n");
    for (name, value) in lines {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {name:<20}{value}");
    }
    text.push_str("\nCtrl-C ends it; what is connected stays connected.\n");
    text
}

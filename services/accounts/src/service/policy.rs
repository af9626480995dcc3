//! Who may call what. Nothing else is allowed.

use kit::Role;
use kit::grpc::{ENTITLEMENTS, GATEWAY, Need, Rule, SERVICES, TOKENS};

/// One rule per RPC, in the order of the contract.
pub const POLICY: &[Rule] = &[
    Rule {
        rpc: "BeginConnect",
        callers: &[GATEWAY],
        person: Need::Role(Role::Admin),
    },
    // A native app comes back without a browser session; who may finish is checked by the session itself.
    Rule {
        rpc: "CompleteConnect",
        callers: &[GATEWAY],
        person: Need::Nobody,
    },
    Rule {
        rpc: "FinishNativeConnect",
        callers: &[GATEWAY],
        person: Need::Role(Role::Admin),
    },
    Rule {
        rpc: "GetConnectSession",
        callers: &[GATEWAY],
        person: Need::Anybody,
    },
    Rule {
        rpc: "SelectDestinations",
        callers: &[GATEWAY],
        person: Need::Role(Role::Admin),
    },
    Rule {
        rpc: "CancelConnect",
        callers: &[GATEWAY],
        person: Need::Anybody,
    },
    // Schedulers and composers look as well; a person only sees their own workspace.
    Rule {
        rpc: "ListAccounts",
        callers: &[GATEWAY, SERVICES],
        person: Need::Nobody,
    },
    Rule {
        rpc: "GetAccount",
        callers: &[GATEWAY, SERVICES],
        person: Need::Nobody,
    },
    Rule {
        rpc: "SummarizeAccounts",
        callers: &[GATEWAY],
        person: Need::Anybody,
    },
    // Numbers only; whom the gateway shows what they are the numbers of was decided when that was read.
    Rule {
        rpc: "GetVersions",
        callers: &[GATEWAY],
        person: Need::Nobody,
    },
    Rule {
        rpc: "GetHealth",
        callers: &[GATEWAY, SERVICES],
        person: Need::Nobody,
    },
    // An open page asks in nobody's name; what a person asks needs the person.
    Rule {
        rpc: "CheckHealth",
        callers: &[GATEWAY],
        person: Need::Nobody,
    },
    Rule {
        rpc: "RefreshToken",
        callers: &[GATEWAY],
        person: Need::Role(Role::Admin),
    },
    Rule {
        rpc: "GetDiagnostics",
        callers: &[GATEWAY],
        person: Need::Role(Role::Admin),
    },
    Rule {
        rpc: "Disconnect",
        callers: &[GATEWAY],
        person: Need::Role(Role::Admin),
    },
    Rule {
        rpc: "ListRecentPosts",
        callers: &[GATEWAY],
        person: Need::Anybody,
    },
    Rule {
        rpc: "CreatePost",
        callers: &[GATEWAY],
        person: Need::Anybody,
    },
    Rule {
        rpc: "RecordPost",
        callers: &[GATEWAY, SERVICES],
        person: Need::Nobody,
    },
    Rule {
        rpc: "ListHistory",
        callers: &[GATEWAY],
        person: Need::Anybody,
    },
    Rule {
        rpc: "ListNotifications",
        callers: &[GATEWAY],
        person: Need::Anybody,
    },
    Rule {
        rpc: "MarkNotificationRead",
        callers: &[GATEWAY],
        person: Need::Anybody,
    },
    Rule {
        rpc: "RequestReconnect",
        callers: &[GATEWAY],
        person: Need::Anybody,
    },
    Rule {
        rpc: "SetScheduledPosts",
        callers: &[GATEWAY, SERVICES],
        person: Need::Nobody,
    },
    Rule {
        rpc: "WatchEvents",
        callers: &[GATEWAY, SERVICES],
        person: Need::Nobody,
    },
    Rule {
        rpc: "ApplyGrantChange",
        callers: &[TOKENS],
        person: Need::Nobody,
    },
    Rule {
        rpc: "ApplyPlanChange",
        callers: &[ENTITLEMENTS],
        person: Need::Nobody,
    },
    Rule {
        rpc: "GetPreferences",
        callers: &[GATEWAY],
        person: Need::Anybody,
    },
    Rule {
        rpc: "SetPreferences",
        callers: &[GATEWAY],
        person: Need::Anybody,
    },
    Rule {
        rpc: "ClaimRequest",
        callers: &[GATEWAY],
        person: Need::Anybody,
    },
    Rule {
        rpc: "FinishRequest",
        callers: &[GATEWAY],
        person: Need::Anybody,
    },
    // Whoever names addresses sees what is sent to them, secrets aside.
    Rule {
        rpc: "ListWebhookEndpoints",
        callers: &[GATEWAY],
        person: Need::Role(Role::Admin),
    },
    Rule {
        rpc: "GetWebhookEndpoint",
        callers: &[GATEWAY],
        person: Need::Role(Role::Admin),
    },
    Rule {
        rpc: "CreateWebhookEndpoint",
        callers: &[GATEWAY],
        person: Need::Role(Role::Admin),
    },
    Rule {
        rpc: "UpdateWebhookEndpoint",
        callers: &[GATEWAY],
        person: Need::Role(Role::Admin),
    },
    Rule {
        rpc: "DeleteWebhookEndpoint",
        callers: &[GATEWAY],
        person: Need::Role(Role::Admin),
    },
    Rule {
        rpc: "RotateWebhookSecret",
        callers: &[GATEWAY],
        person: Need::Role(Role::Admin),
    },
    Rule {
        rpc: "PingWebhookEndpoint",
        callers: &[GATEWAY],
        person: Need::Role(Role::Admin),
    },
    Rule {
        rpc: "ListWebhookDeliveries",
        callers: &[GATEWAY],
        person: Need::Role(Role::Admin),
    },
    Rule {
        rpc: "ReplayWebhookDelivery",
        callers: &[GATEWAY],
        person: Need::Role(Role::Admin),
    },
    // They say who the person is: the hash of a cookie of 256 random bits is the proof.
    Rule {
        rpc: "CreateBrowserSession",
        callers: &[GATEWAY],
        person: Need::Nobody,
    },
    Rule {
        rpc: "GetBrowserSession",
        callers: &[GATEWAY],
        person: Need::Nobody,
    },
    Rule {
        rpc: "LeaseBrowserSession",
        callers: &[GATEWAY],
        person: Need::Nobody,
    },
    Rule {
        rpc: "UpdateBrowserSession",
        callers: &[GATEWAY],
        person: Need::Nobody,
    },
    Rule {
        rpc: "EndBrowserSession",
        callers: &[GATEWAY],
        person: Need::Nobody,
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t3_every_rpc_has_a_rule() {
        let descriptors = <prost_types::FileDescriptorSet as prost::Message>::decode(proto::DESCRIPTORS).unwrap();
        let ours = descriptors
            .file
            .iter()
            .filter(|file| file.package() == "socializioz.accounts.v1");
        for method in ours.flat_map(|file| &file.service).flat_map(|service| &service.method) {
            assert!(
                POLICY.iter().any(|rule| rule.rpc == method.name()),
                "{} has no rule",
                method.name()
            );
        }
    }
}

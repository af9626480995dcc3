//! Every RPC of the contract has exactly one rule, and every rule an RPC: a new RPC without a policy fails here.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::collections::BTreeSet;

use kit::grpc::{Need, Rule};
use prost::Message;

fn methods(package: &str) -> BTreeSet<String> {
    let files = prost_types::FileDescriptorSet::decode(proto::DESCRIPTORS).unwrap().file;
    let services = files
        .into_iter()
        .filter(|file| file.package() == package)
        .flat_map(|file| file.service);
    services
        .flat_map(|service| service.method)
        .map(|method| method.name().to_owned())
        .collect()
}

fn policies() -> [(&'static str, &'static [Rule]); 4] {
    [
        ("socializioz.accounts.v1", accounts::POLICY),
        ("socializioz.tokens.v1", tokens::POLICY),
        ("socializioz.platforms.v1", platforms::POLICY),
        ("socializioz.entitlements.v1", entitlements::POLICY),
    ]
}

#[test]
fn t3_every_rpc_has_exactly_one_rule() {
    for (package, rules) in policies() {
        let ruled = rules.iter().map(|rule| rule.rpc.to_owned()).collect::<BTreeSet<_>>();
        assert_eq!(ruled.len(), rules.len(), "{package} rules an RPC twice");
        assert_eq!(ruled, methods(package), "{package}");
    }
}

#[test]
fn clear_tokens_are_handed_out_to_named_callers_only() {
    for (package, rules) in policies() {
        for rule in rules {
            assert!(!rule.callers.is_empty(), "{package} {} has no caller", rule.rpc);
        }
    }
    let of = |rules: &[Rule], rpc: &str| *rules.iter().find(|rule| rule.rpc == rpc).unwrap();
    for rpc in ["Exchange", "Refresh", "Interpret", "Discover", "Inspect", "Revoke"] {
        assert_eq!(of(platforms::POLICY, rpc).callers, ["tokens"], "{rpc} carries tokens");
    }
    assert!(!of(tokens::POLICY, "GetAccessToken").callers.contains(&"gateway"));
}

#[test]
fn what_changes_an_account_needs_an_admin() {
    let admin = Need::Role(kit::Role::Admin);
    for rpc in [
        "BeginConnect",
        "SelectDestinations",
        "Disconnect",
        "GetDiagnostics",
        "RefreshToken",
    ] {
        let rule = accounts::POLICY.iter().find(|rule| rule.rpc == rpc).unwrap();
        assert_eq!(rule.person, admin, "{rpc}");
    }
}

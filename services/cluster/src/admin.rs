//! What an operator does from the command line: see which grants are stuck, seal everything anew under the first key.

use std::fmt::Write;

use anyhow::Context as _;
use kit::config::Common;
use kit::grpc::{ADMIN, Context, client};
use proto::tokens::v1::tokens_service_client::TokensServiceClient;
use proto::tokens::v1::{ListStuckGrantsRequest, RotateKeysRequest};

/// A command of `socializioz admin`.
#[derive(Clone, Copy, Debug, clap::Subcommand)]
pub enum Command {
    /// Lists grants that are stuck, and why.
    Grants,
    /// Seals everything anew under the first key of keys.ring, while the hub runs.
    RotateKeys,
}

/// Runs a command against the running hub. The answer is for a terminal.
pub async fn run(command: Command, common: &Common) -> anyhow::Result<String> {
    let mut tokens = TokensServiceClient::new(client(common, ADMIN, &common.peers.tokens));
    let context = Context::background();
    match command {
        Command::Grants => {
            let request = context.request(ListStuckGrantsRequest { limit: 1000 });
            let stuck = tokens
                .list_stuck_grants(request)
                .await
                .context("tokens does not answer")?
                .into_inner()
                .grants;
            let mut text = format!("{} stuck\n", stuck.len());
            for item in stuck {
                let Some(grant) = item.grant else { continue };
                let state = grant
                    .state()
                    .as_str_name()
                    .trim_start_matches("GRANT_STATE_")
                    .to_lowercase();
                writeln!(
                    text,
                    "{}  {:<20}{state:<10}{}",
                    grant.grant_id, grant.connector, item.reason
                )?;
            }
            Ok(text)
        }
        Command::RotateKeys => {
            let request = context.request(RotateKeysRequest {});
            let done = tokens
                .rotate_keys(request)
                .await
                .context("tokens does not answer")?
                .into_inner();
            let unused = if done.unused_key_ids.is_empty() {
                "none".to_owned()
            } else {
                done.unused_key_ids.join(", ")
            };
            Ok(format!(
                "{} records sealed anew; keys that nothing uses any more: {unused}\n",
                done.resealed
            ))
        }
    }
}

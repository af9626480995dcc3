//! Every RPC, as the descriptors list them, called by who may not: by strangers, with forged identities, for other workspaces.

use anyhow::{Context, ensure};
use bytes::{Buf, BufMut, Bytes};
use harness::{Cluster, Outcome, each_form_with};
use http::uri::PathAndQuery;
use kit::grpc::{Need, Rule, SERVICES};
use kit::identity::Signer;
use kit::{Clock, Person, Role, Secret};
use prost::Message as _;
use prost::encoding::{WireType, encode_key, encode_varint};
use prost_types::field_descriptor_proto::Type;
use prost_types::{DescriptorProto, FileDescriptorSet};
use serde_json::json;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::{Code, Request, Status};

const KEY: &str = "an identity key of the tests alone";
const SETTINGS: [(&str, &str); 1] = [("auth.identity_key", KEY)];

/// An RPC with its rule.
struct Rpc {
    path: String,
    port: u16,
    rule: Rule,
    input: DescriptorProto,
}

/// What ids a request names.
#[derive(Clone)]
struct Ids {
    workspace: String,
    account: String,
    session: String,
}

/// All RPCs of the contract. That each has exactly one rule is tested beside the services.
fn rpcs() -> anyhow::Result<Vec<Rpc>> {
    let services: [(&str, u16, &'static [Rule]); 4] = [
        ("socializioz.accounts.v1", 50051, accounts::POLICY),
        ("socializioz.tokens.v1", 50052, tokens::POLICY),
        ("socializioz.platforms.v1", 50053, platforms::POLICY),
        ("socializioz.entitlements.v1", 50054, entitlements::POLICY),
    ];
    let files = FileDescriptorSet::decode(proto::DESCRIPTORS)?.file;
    // A package may have several files.
    let message = |package: &str, name: &str| {
        let own = files.iter().filter(|file| file.package() == package);
        own.flat_map(|file| &file.message_type)
            .find(|message| message.name() == name)
            .cloned()
    };
    let mut found = Vec::new();
    for file in &files {
        let Some((package, port, rules)) = services.iter().find(|(package, ..)| file.package() == *package) else {
            continue;
        };
        for service in &file.service {
            for method in &service.method {
                let name = method.input_type().rsplit('.').next().unwrap_or_default();
                let input = message(package, name);
                found.push(Rpc {
                    path: format!("/{package}.{}/{}", service.name(), method.name()),
                    port: *port,
                    rule: *rules.iter().find(|rule| rule.rpc == method.name()).context("no rule")?,
                    input: input.with_context(|| format!("no {name}"))?,
                });
            }
        }
    }
    Ok(found)
}

impl Rpc {
    fn has(&self, field: &str) -> bool {
        self.input.field.iter().any(|found| found.name() == field)
    }

    /// A caller that the rule lets in.
    fn caller(&self) -> &'static str {
        match self
            .rule
            .callers
            .iter()
            .find(|caller| **caller == "gateway")
            .or(self.rule.callers.first())
        {
            Some(&SERVICES) => "composer",
            Some(&caller) => caller,
            None => "nobody",
        }
    }

    /// A request that names these ids wherever it has a field for one.
    fn message(&self, ids: &Ids) -> Bytes {
        let mut message = Vec::new();
        for field in &self.input.field {
            let value = match field.name() {
                "workspace_id" => &ids.workspace,
                "account_id" | "account_ids" | "holder_id" => &ids.account,
                "session_id" => &ids.session,
                _ => continue,
            };
            if field.r#type() == Type::String {
                encode_key(field.number().unsigned_abs(), WireType::LengthDelimited, &mut message);
                encode_varint(value.len() as u64, &mut message);
                message.extend_from_slice(value.as_bytes());
            }
        }
        message.into()
    }

    /// Calls it; what it was refused with, if it was.
    async fn call(&self, hub: &Cluster, caller: &str, identity: Option<&str>, ids: &Ids) -> anyhow::Result<Status> {
        let mut request = Request::new(self.message(ids));
        request.set_timeout(std::time::Duration::from_secs(20));
        request.metadata_mut().insert("x-socializioz-caller", caller.parse()?);
        if let Some(identity) = identity {
            request
                .metadata_mut()
                .insert("x-socializioz-identity", identity.parse()?);
        }
        let mut client = tonic::client::Grpc::new(hub.connection(self.port)?);
        client.ready().await?;
        let path: PathAndQuery = self.path.parse()?;
        let answer = match client.server_streaming(request, path, Raw).await {
            Ok(answer) => answer.into_inner().message().await,
            Err(status) => Err(status),
        };
        Ok(answer.err().unwrap_or_else(|| Status::ok("")))
    }
}

/// Messages as they are.
#[derive(Clone, Copy, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}

fn signed(key: &str, workspace: &str, role: Role) -> anyhow::Result<String> {
    let person = Person {
        user_id: "usr_thief".into(),
        name: String::new(),
        workspace_id: workspace.into(),
        role,
    };
    let signer = Signer::new(Secret::new(key), Clock::system());
    signer.sign(&person).map_err(|failure| anyhow::anyhow!("{failure:?}"))
}

async fn furnish(hub: &Cluster) -> anyhow::Result<Ids> {
    let owner = hub.owner("antiques");
    let account = owner.connect_one(&hub.sandbox, "facebook", "enid").await?;
    let again = json!({"intent": "reconnect", "account_ids": [account]});
    let session = owner.begin("facebook", &again).await?.id;
    let workspace = "antiques".to_owned();
    Ok(Ids {
        workspace,
        account,
        session,
    })
}

fn unknown(workspace: &str) -> Ids {
    Ids {
        workspace: workspace.to_owned(),
        account: "acc_01JD0000000000000000000000".to_owned(),
        session: "cs_01JD0000000000000000000000".to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t2_t3_strangers_forged_persons_and_small_roles_are_refused_by_every_service() -> Outcome {
    each_form_with(&SETTINGS, async |hub| {
        let ids = furnish(hub).await?;
        let forged = signed("another key", "antiques", Role::Owner)?;
        let good = signed(KEY, "antiques", Role::Owner)?;
        let (head, _) = good.rsplit_once('.').context("no token")?;
        let member = signed(KEY, "antiques", Role::Member)?;
        // An owner's claims under a member's signature.
        let raised = format!("{head}.{}", member.rsplit_once('.').context("no token")?.1);
        for rpc in rpcs()? {
            let stranger = rpc.call(hub, "stranger", Some(&good), &ids).await?;
            ensure!(
                stranger.code() == Code::PermissionDenied,
                "{} by a stranger: {stranger}",
                rpc.path
            );
            for bad in [forged.as_str(), &format!("{head}."), &raised, "nonsense"] {
                let status = rpc.call(hub, rpc.caller(), Some(bad), &ids).await?;
                ensure!(
                    status.code() == Code::Unauthenticated,
                    "{} with a forged person: {status}",
                    rpc.path
                );
            }
            if rpc.rule.person != Need::Nobody {
                let nobody = rpc.call(hub, rpc.caller(), None, &ids).await?;
                ensure!(
                    nobody.code() == Code::Unauthenticated,
                    "{} without a person: {nobody}",
                    rpc.path
                );
            }
            if matches!(rpc.rule.person, Need::Role(role) if role > Role::Member) {
                let status = rpc.call(hub, rpc.caller(), Some(&member), &ids).await?;
                ensure!(
                    status.code() == Code::PermissionDenied,
                    "{} by a member: {status}",
                    rpc.path
                );
            }
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn t1_t2_c1_c4_what_is_of_another_workspace_equals_what_never_was_in_every_service() -> Outcome {
    each_form_with(&SETTINGS, async |hub| {
        let theirs = furnish(hub).await?;
        let thief = signed(KEY, "thieves", Role::Owner)?;
        for rpc in rpcs()?.iter().filter(|rpc| rpc.has("workspace_id")) {
            let foreign = rpc.call(hub, rpc.caller(), Some(&thief), &theirs).await?;
            let never = rpc.call(hub, rpc.caller(), Some(&thief), &unknown("nobodys")).await?;
            ensure!(
                foreign.code() == Code::NotFound,
                "{} in another workspace: {foreign}",
                rpc.path
            );
            ensure!(same(&foreign, &never), "{}: {foreign} is not {never}", rpc.path);
            let stolen = Ids {
                workspace: "thieves".to_owned(),
                ..theirs.clone()
            };
            let foreign = rpc.call(hub, rpc.caller(), Some(&thief), &stolen).await?;
            let never = rpc.call(hub, rpc.caller(), Some(&thief), &unknown("thieves")).await?;
            ensure!(
                same(&foreign, &never),
                "{} with another's ids: {foreign} is not {never}",
                rpc.path
            );
        }
        let owner = hub.owner("antiques");
        ensure!(
            owner.health(&theirs.account).await? == "healthy",
            "somebody else's call changed it"
        );
        Ok(())
    })
    .await
}

fn same(one: &Status, other: &Status) -> bool {
    one.code() == other.code() && one.message() == other.message() && one.details() == other.details()
}

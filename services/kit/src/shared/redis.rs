//! The Redis side: small scripts where a read and a write must be one step.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{AsyncCommands, Client, RedisResult, Script};
use tokio::sync::broadcast;

use crate::id;

const PUT_IF_NEWER: &str = r"
local known = redis.call('GET', KEYS[1])
if known and string.sub(known, 1, 8) >= string.sub(ARGV[1], 1, 8) then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1";

const RENEW: &str = r"
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 0";

const RELEASE: &str = r"
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0";

/// A token bucket: level and time of the last look.
const TAKE: &str = r"
local capacity, per, now = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local state = redis.call('HMGET', KEYS[1], 'level', 'at')
local level, at = tonumber(state[1]) or capacity, tonumber(state[2]) or now
level = math.min(capacity, level + math.max(0, now - at) * capacity / per)
local wait = 0
if level >= 1 then level = level - 1 else wait = math.ceil((1 - level) * per / capacity) end
redis.call('HSET', KEYS[1], 'level', tostring(level), 'at', tostring(math.max(now, at)))
redis.call('PEXPIRE', KEYS[1], per * 2)
return wait";

type Channels = Arc<Mutex<HashMap<String, broadcast::Sender<Vec<u8>>>>>;

#[derive(Clone)]
pub(super) struct Redis {
    client: Client,
    connection: ConnectionManager,
    channels: Channels,
}

/// An error without the address, which may carry a password.
pub(super) fn describe(error: &redis::RedisError) -> String {
    error.category().to_owned()
}

impl Redis {
    pub(super) async fn connect(url: &str) -> anyhow::Result<Self> {
        let client = Client::open(url).map_err(|error| anyhow::anyhow!(describe(&error)))?;
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(1)
            .set_connection_timeout(Some(Duration::from_secs(2)))
            .set_response_timeout(Some(super::PATIENCE));
        let connection = ConnectionManager::new_with_config(client.clone(), config)
            .await
            .map_err(|error| anyhow::anyhow!(describe(&error)))?;
        Ok(Self {
            client,
            connection,
            channels: Channels::default(),
        })
    }

    pub(super) async fn get(&self, key: &str) -> RedisResult<Option<Vec<u8>>> {
        self.connection.clone().get(key).await
    }

    pub(super) async fn get_all(&self, keys: &[String]) -> RedisResult<Vec<Option<Vec<u8>>>> {
        self.connection.clone().mget(keys).await
    }

    /// The key is gone when the server was emptied; its replication id is another one after a start and after a failover.
    pub(super) async fn life(&self, key: &str) -> RedisResult<String> {
        let (born, replication): (String, redis::InfoDict) = redis::pipe()
            .cmd("SET")
            .arg(key)
            .arg(id::secret())
            .arg("NX")
            .ignore()
            .get(key)
            .cmd("INFO")
            .arg("replication")
            .query_async(&mut self.connection.clone())
            .await?;
        let server: String = replication.get("master_replid").unwrap_or_default();
        Ok(format!("{born}:{server}"))
    }

    pub(super) async fn put(&self, key: &str, value: &[u8], ttl: Duration) -> RedisResult<()> {
        self.connection.clone().pset_ex(key, value, ms(ttl)).await
    }

    pub(super) async fn put_if_absent(&self, key: &str, value: &[u8], ttl: Duration) -> RedisResult<bool> {
        let mut set = redis::cmd("SET");
        set.arg(key).arg(value).arg("NX").arg("PX").arg(ms(ttl));
        let done: Option<String> = set.query_async(&mut self.connection.clone()).await?;
        Ok(done.is_some())
    }

    pub(super) async fn put_if_newer(&self, key: &str, version: i64, value: &[u8], ttl: Duration) -> RedisResult<bool> {
        let value = [&version.to_be_bytes()[..], value].concat();
        let script = Script::new(PUT_IF_NEWER);
        script
            .key(key)
            .arg(value)
            .arg(ms(ttl))
            .invoke_async(&mut self.connection.clone())
            .await
    }

    pub(super) async fn remove(&self, key: &str) -> RedisResult<()> {
        self.connection.clone().del(key).await
    }

    pub(super) async fn remove_all(&self, keys: &[String]) -> RedisResult<()> {
        self.connection.clone().del(keys).await
    }

    pub(super) async fn renew(&self, key: &str, token: &[u8], ttl: Duration) -> RedisResult<bool> {
        Script::new(RENEW)
            .key(key)
            .arg(token)
            .arg(ms(ttl))
            .invoke_async(&mut self.connection.clone())
            .await
    }

    pub(super) async fn release(&self, key: &str, token: &[u8]) -> RedisResult<bool> {
        Script::new(RELEASE)
            .key(key)
            .arg(token)
            .invoke_async(&mut self.connection.clone())
            .await
    }

    pub(super) async fn publish(&self, channel: &str, message: &[u8]) -> RedisResult<()> {
        self.connection.clone().publish(channel, message).await
    }

    /// One Redis subscription per channel and process, however many listen.
    pub(super) async fn subscribe(&self, channel: &str) -> RedisResult<broadcast::Receiver<Vec<u8>>> {
        {
            let channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(sender) = channels.get(channel) {
                return Ok(sender.subscribe());
            }
        }
        let mut subscription = self.client.get_async_pubsub().await?;
        subscription.subscribe(channel).await?;
        let (sender, receiver) = broadcast::channel(256);
        self.channels
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(channel.to_owned(), sender.clone());
        tokio::spawn(forward(self.clone(), channel.to_owned(), subscription, sender));
        Ok(receiver)
    }

    #[allow(clippy::cast_possible_truncation, reason = "milliseconds of a budget's period")]
    pub(super) async fn take(&self, bucket: &str, capacity: u32, per: Duration, now_ms: i64) -> RedisResult<i64> {
        let script = Script::new(TAKE);
        let mut call = script.key(bucket);
        call.arg(capacity).arg(per.as_millis() as u64).arg(now_ms);
        call.invoke_async(&mut self.connection.clone()).await
    }
}

/// Hands messages on while somebody listens; reconnects when Redis went away, telling listeners that they may have missed some.
async fn forward(
    redis: Redis,
    channel: String,
    mut subscription: redis::aio::PubSub,
    sender: broadcast::Sender<Vec<u8>>,
) {
    loop {
        {
            let mut messages = subscription.on_message();
            loop {
                tokio::select! {
                    message = messages.next() => match message {
                        Some(message) => { let _ = sender.send(message.get_payload_bytes().to_vec()); }
                        None => break,
                    },
                    () = sender.closed() => {
                        redis.channels.lock().unwrap_or_else(PoisonError::into_inner).remove(&channel);
                        return;
                    }
                }
            }
        }
        subscription = loop {
            tokio::time::sleep(Duration::from_millis(250)).await;
            if let Ok(mut again) = redis.client.get_async_pubsub().await
                && again.subscribe(&channel).await.is_ok()
            {
                break again;
            }
        };
        let _ = sender.send(Vec::new());
    }
}

fn ms(ttl: Duration) -> u64 {
    u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX).max(1)
}

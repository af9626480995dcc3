//! stub
use crate::{call::*, consent::*, platform::*, switches::*, world::World};
pub(crate) struct Facebook;
impl Imitation for Facebook {
    fn recognise(&self, _: &Call) -> Option<Operation> {
        None
    }
    fn answer(&self, _: &mut Cx<'_>) -> Reply {
        Reply::empty(404)
    }
    fn dialog(&self, _: &World, _: &Call) -> Result<Dialog, Reply> {
        Err(Reply::empty(404))
    }
    fn callback(&self, _: &Dialog, _: &Verdict) -> String {
        String::new()
    }
    fn rate_limited(&self, _: &RateLimit, _: i64) -> Reply {
        Reply::empty(404)
    }
    fn server_error(&self, _: u16) -> Reply {
        Reply::empty(404)
    }
    fn wrong_secret(&self) -> Reply {
        Reply::empty(404)
    }
    fn version_retired(&self) -> Reply {
        Reply::empty(404)
    }
}
pub(crate) fn is_long(_: &World, _: &str) -> bool {
    false
}

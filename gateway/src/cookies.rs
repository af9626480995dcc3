//! The gateway's cookies: names, flags and reading. `__Host-` binds them to this host wherever there is https.

use http::{HeaderMap, HeaderValue, header};

/// Cookie of a browser's session.
pub(crate) const SESSION: &str = "sz-session";

/// Cookie of the workspace that a person with several chose last; a preference, no proof of anything.
pub(crate) const WORKSPACE: &str = "sz-workspace";

/// The name as it is sent: `__Host-` needs Secure, and loopback http has none.
pub(crate) fn name(plain: &str, https: bool) -> String {
    if https {
        format!("__Host-{plain}")
    } else {
        plain.to_owned()
    }
}

/// A cookie that scripts cannot read and other sites' posts do not carry.
#[derive(Clone, Debug)]
pub(crate) struct Cookie<'a> {
    /// Without `__Host-`.
    pub(crate) plain_name: &'a str,
    /// Of our own making: letters, digits, `-`, `_`, `.`.
    pub(crate) value: &'a str,
    /// The public address is https.
    pub(crate) https: bool,
    /// `None` = until the browser closes; 0 = remove it.
    pub(crate) max_age_seconds: Option<u32>,
}

impl Cookie<'_> {
    /// Adds the cookie to an answer.
    pub(crate) fn set(&self, headers: &mut HeaderMap) {
        let mut line = format!(
            "{}={}; Path=/; HttpOnly; SameSite=Lax",
            name(self.plain_name, self.https),
            self.value
        );
        if self.https {
            line.push_str("; Secure");
        }
        if let Some(seconds) = self.max_age_seconds {
            line.push_str("; Max-Age=");
            line.push_str(&seconds.to_string());
        }
        if let Ok(value) = HeaderValue::from_str(&line) {
            headers.append(header::SET_COOKIE, value);
        }
    }
}

/// The value of a cookie of the request.
pub(crate) fn read<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|line| line.to_str().ok());
    let mut pairs = lines
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(found, _)| *found == name).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(https: bool) -> String {
        let mut headers = HeaderMap::new();
        Cookie {
            plain_name: SESSION,
            value: "v",
            https,
            max_age_seconds: Some(600),
        }
        .set(&mut headers);
        headers[header::SET_COOKIE].to_str().unwrap().to_owned()
    }

    #[test]
    fn b9_a_cookie_is_bound_to_the_host_and_to_https_where_there_is_https() {
        assert_eq!(
            line(true),
            "__Host-sz-session=v; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=600"
        );
        assert_eq!(line(false), "sz-session=v; Path=/; HttpOnly; SameSite=Lax; Max-Age=600");
    }

    #[test]
    fn a_cookie_is_found_among_others_and_over_several_lines() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, HeaderValue::from_static("a=1; sz-session-old=x"));
        headers.append(header::COOKIE, HeaderValue::from_static("sz-session=yes"));
        assert_eq!(read(&headers, SESSION), Some("yes"));
        assert_eq!(read(&headers, "none"), None);
    }
}

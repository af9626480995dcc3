//! Posts of all platforms in one form; each imitation renders them in its own. Seeded posts have likes and comments and
//! every kind of media, published ones start at zero.

use super::World;

/// What a post shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Media {
    Text,
    Image,
    Video,
    Album,
}

/// Something that was published.
#[derive(Clone)]
pub(crate) struct Post {
    pub(crate) number: u64,
    /// Page id, Instagram id, TikTok open id, X id or LinkedIn URN.
    pub(crate) author: String,
    pub(crate) text: String,
    pub(crate) media: Media,
    /// Absolute, or a path of the sandbox.
    pub(crate) image: Option<String>,
    pub(crate) created_at_ms: i64,
    /// None: the author hides the number.
    pub(crate) likes: Option<u64>,
    pub(crate) comments: u64,
    pub(crate) shares: u64,
}

impl Post {
    /// The image as a URL on the caller's own host.
    pub(crate) fn image_url(&self, base: &str) -> Option<String> {
        let image = self.image.as_deref()?;
        Some(if image.starts_with('/') {
            format!("{base}{image}")
        } else {
            image.to_owned()
        })
    }
}

/// Instagram, TikTok: something uploaded that is not published yet.
#[derive(Clone)]
pub(crate) struct Container {
    pub(crate) author: String,
    pub(crate) text: String,
    pub(crate) media: Media,
    pub(crate) image: String,
    /// The post it became.
    pub(crate) published: Option<u64>,
}

const TEXTS: [&str; 6] = [
    "Fresh bread at 7.",
    "Sourdough day: thirty-six hours of patience, ten minutes of joy.",
    "We are closed on Monday.",
    "New: rye with caraway <3 & \"honey\".",
    "خبز طازج كل صباح",
    "Thank you for 1 000 visits! 🥐🥖🍞",
];

/// Posts of everybody at the start.
pub(crate) fn seed(world: &World) -> Vec<Post> {
    let bakery = |id: &str| id == "104000000000001" || id == "17841400000000001";
    let pages = world.pages.iter().take(10).map(|page| (page.id.clone(), 4));
    let instagram = world.instagram.iter().map(|account| (account.id.clone(), 4));
    let tiktok = world
        .people
        .iter()
        .filter_map(|person| person.tiktok_open_id.clone())
        .map(|id| (id, 3));
    // Gus never posted on X: an empty timeline has a form of its own.
    let on_x = world.people.iter().filter(|person| person.id != "gus");
    let x = on_x.filter_map(|person| person.x_id.clone()).map(|id| (id, 3));
    let organizations = world
        .organizations
        .iter()
        .take(3)
        .map(|one| (format!("urn:li:organization:{}", one.id), 3));
    let authors = pages.chain(instagram).chain(tiktok).chain(x).chain(organizations);
    let mut posts = Vec::new();
    for (author, usual) in authors {
        let count: u64 = if bakery(&author) { 30 } else { usual };
        for back in (0..count).rev() {
            posts.push(seeded(&author, back, 1_000_000 + posts.len() as u64, world.now_ms()));
        }
    }
    posts
}

fn seeded(author: &str, back: u64, number: u64, now_ms: i64) -> Post {
    const HOUR_MS: i64 = 3_600_000;
    let media = match back % 4 {
        0 => Media::Image,
        1 => Media::Album,
        2 => Media::Video,
        _ => Media::Text,
    };
    Post {
        number,
        author: author.to_owned(),
        text: TEXTS
            .get(usize::try_from(back).unwrap_or_default() % TEXTS.len())
            .copied()
            .unwrap_or_default()
            .to_owned(),
        media,
        image: (media != Media::Text).then(|| format!("/images/{number}.png")),
        created_at_ms: now_ms - 2 * HOUR_MS - i64::try_from(back).unwrap_or_default() * 26 * HOUR_MS,
        likes: (back % 5 != 4).then_some(41 + 7 * back),
        comments: 5 * back % 13,
        shares: 3 * back % 4,
    }
}

impl World {
    /// Posts of an author, newest first.
    pub(crate) fn posts_of(&self, author: &str) -> Vec<&Post> {
        let mut posts: Vec<&Post> = self.posts.iter().filter(|post| post.author == author).collect();
        posts.sort_by_key(|post| std::cmp::Reverse((post.created_at_ms, post.number)));
        posts
    }

    /// Whether the author's newest post says the same and duplicates are refused.
    pub(crate) fn is_duplicate(&self, author: &str, text: &str) -> bool {
        self.profile.refuse_duplicates && self.posts_of(author).first().is_some_and(|post| post.text == text)
    }

    /// Publishes and returns the post's number.
    pub(crate) fn publish(&mut self, author: &str, text: &str, media: Media, image: Option<String>) -> u64 {
        let number = 2_000_000 + self.next_object();
        let created_at_ms = self.now_ms();
        self.posts.push(Post {
            number,
            author: author.to_owned(),
            text: text.to_owned(),
            media,
            image,
            created_at_ms,
            likes: Some(0),
            comments: 0,
            shares: 0,
        });
        number
    }
}

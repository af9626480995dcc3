//! Pictures: a disc on a coloured ground, made from the id alone, so that the same id always looks the same. PNG with two
//! colours, one bit a pixel, and stored (uncompressed) deflate blocks, which needs no library.

use crate::crypto;

/// Side of a profile picture in pixels.
pub(crate) const AVATAR: u32 = 96;
/// Side of a post's picture.
pub(crate) const IMAGE: u32 = 240;

/// A square picture for `id`.
pub(crate) fn png(id: &str, side: u32) -> Vec<u8> {
    let seed = crypto::sha256(id);
    let byte = |n: usize| seed.get(n).copied().unwrap_or_default();
    let palette = [
        byte(0) / 2 + 100,
        byte(1) / 2 + 100,
        byte(2) / 2 + 100,
        byte(3) / 3,
        byte(4) / 3,
        byte(5) / 3,
    ];
    let radius = i64::from(side) * (i64::from(byte(6)) % 20 + 22) / 100;
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut header = Vec::new();
    header.extend(side.to_be_bytes());
    header.extend(side.to_be_bytes());
    header.extend([1, 3, 0, 0, 0]);
    chunk(&mut file, *b"IHDR", &header);
    chunk(&mut file, *b"PLTE", &palette);
    chunk(&mut file, *b"IDAT", &stored_deflate(&pixels(side, radius)));
    chunk(&mut file, *b"IEND", &[]);
    file
}

/// Palette indices line by line, eight in a byte from the left, each line after its filter byte.
fn pixels(side: u32, radius: i64) -> Vec<u8> {
    let middle = i64::from(side) / 2;
    let side = i64::from(side);
    let line = |y: i64| {
        let inside = move |x: i64| (x - middle).pow(2) + (y - middle).pow(2) < radius.pow(2);
        let eight = move |byte: i64| (0..8).fold(0, |bits, n| bits << 1 | u8::from(inside(byte * 8 + n)));
        std::iter::once(0).chain((0..(side + 7) / 8).map(eight))
    };
    (0..side).flat_map(line).collect()
}

fn stored_deflate(data: &[u8]) -> Vec<u8> {
    let mut out = vec![0x78, 0x01];
    let blocks: Vec<&[u8]> = data.chunks(usize::from(u16::MAX)).collect();
    for (n, block) in blocks.iter().enumerate() {
        let length = u16::try_from(block.len()).unwrap_or(u16::MAX);
        out.push(u8::from(n + 1 == blocks.len()));
        out.extend(length.to_le_bytes());
        out.extend((!length).to_le_bytes());
        out.extend(*block);
    }
    out.extend(adler32(data).to_be_bytes());
    out
}

fn adler32(data: &[u8]) -> u32 {
    let (low, high) = data.iter().fold((1_u32, 0_u32), |(a, b), &byte| {
        ((a + u32::from(byte)) % 65_521, (a + u32::from(byte) + b) % 65_521)
    });
    high << 16 | low
}

fn chunk(file: &mut Vec<u8>, kind: [u8; 4], data: &[u8]) {
    let mut body = kind.to_vec();
    body.extend(data);
    file.extend(u32::try_from(data.len()).unwrap_or_default().to_be_bytes());
    file.extend(&body);
    file.extend(crc32(&body).to_be_bytes());
}

fn crc32(data: &[u8]) -> u32 {
    !data.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_the_published_ones() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        assert_eq!(adler32(b"Wikipedia"), 0x11E6_0398);
    }

    /// The budget of the page that shows it.
    #[test]
    fn a_profile_picture_weighs_at_most_four_kilobytes() {
        assert!(png("ada", AVATAR).len() <= 4096);
    }

    #[test]
    fn a_picture_is_the_same_each_time_and_differs_between_ids() {
        assert_eq!(png("ada", AVATAR), png("ada", AVATAR));
        assert_ne!(png("ada", AVATAR), png("bo", AVATAR));
    }
}

//! What a file is, by its first bytes and not by what its sender says. Never
//! decodes: how large an image claims to be is read from its head. What a browser
//! would run is never called by its name.

use super::record::Sniffed;
use events::attachment::MediaType;

/// What a file may be called although no bytes of it prove it: text that nothing runs.
const PLAIN: [&str; 5] = ["text/plain", "text/csv", "text/markdown", "text/calendar", "application/json"];

pub(super) fn sniff(head: &[u8], declared: Option<&MediaType>) -> Sniffed {
    let known = infer::get(head).map(|kind| kind.mime_type()).filter(|found| !is_run(found));
    let known = known.and_then(|found| found.parse().ok());
    let media_type: MediaType = known.unwrap_or_else(|| unproven(head, declared));
    let is_image = media_type.as_str().starts_with("image/");
    let size = if is_image { imagesize::blob_size(head).ok() } else { None };
    let pixels = |of: fn(&imagesize::ImageSize) -> usize| {
        size.as_ref().and_then(|size| i32::try_from(of(size)).ok()?.try_into().ok())
    };
    Sniffed { media_type, width: pixels(|size| size.width), height: pixels(|size| size.height) }
}

/// Whether a browser takes it for something to run.
fn is_run(media_type: &str) -> bool {
    ["html", "xml", "svg", "script"].iter().any(|active| media_type.contains(active))
        && !media_type.starts_with("application/vnd.")
}

fn unproven(head: &[u8], declared: Option<&MediaType>) -> MediaType {
    let is_text = std::str::from_utf8(head).or_else(|error| {
        // A character may be cut at the end of what is looked at.
        if error.error_len().is_none() { Ok("") } else { Err(error) }
    });
    match declared {
        Some(declared) if PLAIN.contains(&declared.as_str()) && is_text.is_ok() && !head.contains(&0) => {
            declared.clone()
        }
        Some(_) | None => MediaType::unknown(),
    }
}

#[cfg(test)]
mod tests {
    use super::sniff;

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR\x00\x00\x02\x80\x00\x00\x01\xe0\x08\x02\x00\x00\x00";

    fn sniffed(head: &[u8], declared: &str) -> (String, Option<u32>, Option<u32>) {
        let sniffed = sniff(head, declared.parse().ok().as_ref());
        (sniffed.media_type.to_string(), sniffed.width, sniffed.height)
    }

    #[test]
    fn a_file_is_what_its_bytes_say_and_plain_text_what_its_sender_says() {
        let cases: [(&[u8], &str, &str); 12] = [
            (PNG, "text/html", "image/png"),
            (b"\xff\xd8\xff\xe0\x00\x10JFIF\x00", "", "image/jpeg"),
            (b"%PDF-1.7\n", "image/png", "application/pdf"),
            (b"hello", "text/plain; charset=utf-8", "text/plain"),
            (b"a,b\n1,2\n", "text/csv", "text/csv"),
            (b"{}", "application/json", "application/json"),
            (b"hello", "image/png", "application/octet-stream"),
            (b"\x00\x01\x02", "text/plain", "application/octet-stream"),
            (b"<!DOCTYPE html><script>alert(1)</script>", "image/png", "application/octet-stream"),
            (b"<html><body onload=alert(1)>", "text/html", "application/octet-stream"),
            (
                b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
                "image/svg+xml",
                "application/octet-stream",
            ),
            (b"<?xml version='1.0'?><svg/>", "image/svg+xml", "application/octet-stream"),
        ];
        for (head, declared, found) in cases {
            assert_eq!(sniffed(head, declared).0, found, "{declared} {:?}", String::from_utf8_lossy(head));
        }
    }

    #[test]
    fn an_image_is_as_large_as_its_head_says_and_is_not_decoded() {
        assert_eq!(sniffed(PNG, "image/png"), ("image/png".to_owned(), Some(640), Some(480)));
        assert_eq!(sniffed(&PNG[..12], "image/png").1, None, "cut off");
        let mut bomb = PNG.to_vec();
        bomb[16..24].fill(0xff);
        assert_eq!(sniffed(&bomb, "image/png").1, None, "no image is as large as that");
        bomb[16] = 0x7f;
        assert_eq!(sniffed(&bomb, "image/png").1, Some(0x7fff_ffff));
    }
}

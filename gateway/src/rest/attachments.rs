//! Files: up in one stream, down in one stream or a range of it. No more of one
//! is in memory than a part, and no browser runs one.

use crate::{
    app::App,
    auth::Caller,
    disposition,
    openapi::{CallerProblem, LimitProblem, NotThere},
    params::InPath,
    places::Place,
    positions::{After, AsOf},
    problem::{Kind, Problem},
    shapes,
};
use axum::{
    Json as Answer,
    body::Body,
    extract::State,
    http::{
        HeaderMap, HeaderName, HeaderValue, Method, StatusCode,
        header::{
            ACCEPT_RANGES, CONNECTION, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_SECURITY_POLICY,
            CONTENT_TYPE, ETAG, IF_RANGE, RANGE,
        },
    },
    response::{IntoResponse, Response},
};
use command::attachments::{AttachmentError, Upload, Uploaded};
use events::{
    AttachmentId, UserId, Vector,
    attachment::{MAX_BYTES, MediaType},
    blobs::{PART, Part},
};
use futures_util::{Stream, StreamExt, stream};
use http_body_util::BodyExt;
use http_range_header::RangeUnsatisfiableError;
use query::files::{File, Shown};
use serde::Serialize;
use std::{ops::RangeInclusive, time::Duration};
use tokio::time::{Instant, timeout};
use utoipa::ToSchema;

/// How long a sender may send nothing, and how slow they may be on the whole: bytes a second, after a while.
const SILENCE: Duration = Duration::from_secs(10);
const SLOWEST: u64 = 16 << 10;
const HEAD_START: Duration = Duration::from_secs(20);

/// Bytes beyond the limit that are read and dropped, so that the sender gets to read the refusal.
const MAX_DROPPED: u64 = 8 << 20;

/// Saved and not shown; where it is shown all the same, it runs nothing.
const SANDBOX: &str = "default-src 'none'; frame-ancestors 'none'; sandbox";

/// A file that waits for its use.
#[derive(Serialize, ToSchema)]
pub(super) struct UploadedFile {
    #[schema(value_type = shapes::Id)]
    attachment_id: AttachmentId,
    /// What its bytes say it is, whatever `Content-Type` says.
    #[schema(example = "image/jpeg")]
    media_type: String,
    /// In bytes.
    #[schema(minimum = 1, maximum = 67_108_864)]
    size: u64,
}

/// Uploads a file: usable by the caller in one send, or as one picture, within 24 hours.
///
/// The body is the file, of at most 64 MiB; its name is in `Content-Disposition`.
#[utoipa::path(post, path = "/v1/attachments", tag = "attachments", operation_id = "upload_attachment", security(("bearer" = [])),
    request_body(content = Vec<u8>, content_type = "application/octet-stream", description = "The bytes, in any `Content-Type`"),
    responses(
        (status = 201, description = "It is there", body = UploadedFile),
        (status = 408, description = "The body stood still for 10 s, or was slower than 16 KiB/s", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The file has more than 64 MiB", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The file has no bytes, or a name that may not be", body = Problem, content_type = "application/problem+json"),
        CallerProblem, LimitProblem,
    ))]
pub(super) async fn upload(State(app): State<App>, caller: Caller, headers: HeaderMap, body: Body) -> Response {
    match take(&app, caller.user_id(), &headers, body).await {
        Ok(Uploaded { attachment_id, media_type, size }) => {
            let media_type = media_type.to_string();
            (StatusCode::CREATED, Answer(UploadedFile { attachment_id, media_type, size })).into_response()
        }
        // What is left of the body is not read.
        Err(problem) => ([(CONNECTION, "close")], problem).into_response(),
    }
}

/// Downloads a file, or a range of it.
#[utoipa::path(get, path = "/v1/attachments/{attachment_id}", tag = "attachments", operation_id = "get_attachment", security(("bearer" = [])),
    params(("attachment_id" = shapes::Id, Path), After),
    responses(
        (status = 200, description = "The bytes", content_type = "application/octet-stream",
            headers(("Herald-As-Of" = shapes::Vector, description = "What the answer has seen"))),
        (status = 206, description = "The range that was asked for", content_type = "application/octet-stream",
            headers(("Herald-As-Of" = shapes::Vector, description = "What the answer has seen"))),
        (status = 416, description = "There is nothing in that range", body = Problem, content_type = "application/problem+json"),
        NotThere, CallerProblem, LimitProblem,
    ))]
pub(super) async fn download(
    State(app): State<App>,
    caller: Caller,
    after: After,
    InPath(id): InPath<AttachmentId>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let place = app.downloads.take(caller.user_id())?;
    let (as_of, file) = find(&app, &after, caller.user_id(), id).await?;
    let etag = format!("\"{id}\"");
    // RFC 9110, section 14.2: of HEAD a range means nothing.
    let asked = headers.get(RANGE).filter(|_| method == Method::GET);
    let range = match asked.map_or(Ok(None), |asked| range(asked, &headers, &etag, file.size)) {
        Ok(range) => range,
        Err(problem) => return Ok(([(CONTENT_RANGE, format!("bytes */{}", file.size))], problem).into_response()),
    };
    let bytes = range.clone().unwrap_or(0..=file.size - 1);
    let length = bytes.end() - bytes.start() + 1;
    let body = if method == Method::HEAD {
        Body::empty()
    } else {
        Body::from_stream(content(&app, file.author_id, id, bytes.clone(), place).await?)
    };
    let text = |text: String| HeaderValue::try_from(text).expect("numbers, ids and percent-encoded names");
    let mut response = (AsOf(as_of), body).into_response();
    let told = response.headers_mut();
    let mut tell = |name: HeaderName, value: HeaderValue| _ = told.insert(name, value);
    tell(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    tell(CONTENT_SECURITY_POLICY, HeaderValue::from_static(SANDBOX));
    tell(CONTENT_TYPE, text(file.media_type.to_string()));
    tell(CONTENT_DISPOSITION, text(disposition::attachment(&file.name)));
    tell(CONTENT_LENGTH, length.into());
    tell(ETAG, text(etag));
    if range.is_some() {
        tell(CONTENT_RANGE, text(format!("bytes {}-{}/{}", bytes.start(), bytes.end(), file.size)));
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    Ok(response)
}

async fn take(app: &App, owner: UserId, headers: &HeaderMap, body: Body) -> Result<Uploaded, Problem> {
    let text = |name: HeaderName| headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let name = disposition::file_name(text(CONTENT_DISPOSITION).as_deref());
    let name = name.map_err(|error| Problem::invalid("filename", error))?;
    let declared: Option<MediaType> = text(CONTENT_TYPE).and_then(|kind| kind.parse().ok());
    let announced = text(CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok()).unwrap_or(0);
    if announced > MAX_BYTES + MAX_DROPPED {
        return Err(too_large());
    }
    app.limits.upload(owner)?;
    let _place = app.uploads.take(owner)?;
    let mut upload = app.attachments.begin(owner, name, declared).await?;
    receive(app, owner, &mut upload, body).await?;
    Ok(upload.finish().await?)
}

async fn receive(app: &App, owner: UserId, upload: &mut Upload, mut body: Body) -> Result<(), Problem> {
    let began = Instant::now();
    let (mut size, mut charged) = (0, 0);
    loop {
        let all = HEAD_START + Duration::from_secs(size / SLOWEST);
        let Ok(frame) = timeout(SILENCE.min(all.saturating_sub(began.elapsed())), body.frame()).await else {
            return Err(Problem::new(Kind::RequestTimeout, "the body took too long to arrive"));
        };
        let Some(frame) = frame else { break };
        let frame = frame.map_err(|_| Problem::malformed("the body ended early"))?;
        let Ok(data) = frame.into_data() else { continue };
        size += data.len() as u64;
        if size > MAX_BYTES + MAX_DROPPED {
            break;
        }
        if size <= MAX_BYTES {
            let mebibytes = u32::try_from(size.div_ceil(1 << 20)).unwrap_or(u32::MAX);
            if mebibytes > charged {
                app.limits.upload_mebibytes(owner, mebibytes - charged)?;
                charged = mebibytes;
            }
            upload.write(&data).await?;
        }
    }
    if size > MAX_BYTES { Err(too_large()) } else { Ok(()) }
}

/// What a caller may see of a file: with a message, as a picture, or as an upload of their own.
async fn find(app: &App, after: &After, reader: UserId, id: AttachmentId) -> Result<(Vector, File), Problem> {
    let mut as_of = Vector::default();
    for shown in Shown::ALL {
        let answer = after.ask(app, shown.view(), || app.views.file(shown, reader, id)).await?;
        if let Some(file) = answer.value {
            return Ok((answer.as_of, file));
        }
        as_of = answer.as_of;
    }
    let unused = app.attachments.unused(reader, id).await?.ok_or_else(Problem::not_found)?;
    let name = unused.name.as_str().ok_or_else(Problem::not_found)?.to_owned();
    Ok((as_of, File { author_id: reader, name, media_type: unused.media_type, size: unused.size }))
}

/// The one range that was asked for; what cannot be read, and more than one, is all (RFC 9110, section 14.2).
fn range(
    asked: &HeaderValue,
    headers: &HeaderMap,
    etag: &str,
    size: u64,
) -> Result<Option<RangeInclusive<u64>>, Problem> {
    let is_another = |value: &HeaderValue| value.as_bytes() != etag.as_bytes();
    if headers.get(IF_RANGE).is_some_and(is_another) {
        return Ok(None);
    }
    let Some(parsed) = asked.to_str().ok().and_then(|asked| http_range_header::parse_range_header(asked).ok()) else {
        return Ok(None);
    };
    match parsed.validate(size) {
        Ok(ranges) if ranges.len() == 1 => Ok(ranges.into_iter().next()),
        Err(RangeUnsatisfiableError::Unsatisfiable) => {
            Err(Problem::new(Kind::RangeNotSatisfiable, format!("the file has {size} bytes")))
        }
        // More than one, and what cannot be read, is all.
        Ok(_) | Err(_) => Ok(None),
    }
}

/// A file's bytes, part by part; that the first can be had is known before anything is said.
async fn content(
    app: &App,
    author: UserId,
    of: AttachmentId,
    range: RangeInclusive<u64>,
    place: Place,
) -> Result<impl Stream<Item = Result<bytes::Bytes, AttachmentError>> + use<>, Problem> {
    let part_of = |byte: u64| u32::try_from(byte / PART as u64).unwrap_or(u32::MAX);
    let attachments = app.attachments.clone();
    let first = part_of(*range.start());
    let last = part_of(*range.end());
    let read = move |index: u32| {
        let (attachments, range) = (attachments.clone(), range.clone());
        async move {
            let bytes = attachments.part(author, Part { of, index }).await?;
            let begins = u64::from(index) * PART as u64;
            let within =
                |byte: u64| usize::try_from(byte.saturating_sub(begins)).unwrap_or(usize::MAX).min(bytes.len());
            Ok::<_, AttachmentError>(bytes.slice(within(*range.start())..within(range.end() + 1)))
        }
    };
    let head = read(first).await?;
    let rest = stream::try_unfold(first + 1, move |index| {
        // As long as somebody reads, the place is theirs.
        let _place = &place;
        let next = (index <= last).then(|| read(index));
        async move {
            match next {
                Some(next) => Ok(Some((next.await?, index + 1))),
                None => Ok(None),
            }
        }
    });
    Ok(stream::iter([Ok(head)]).chain(rest))
}

fn too_large() -> Problem {
    Problem::new(Kind::TooLarge, format!("a file may have {MAX_BYTES} bytes"))
}

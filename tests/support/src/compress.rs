//! Compressed bodies, as clients and servers send them.

use std::io;

use async_compression::tokio::write::{BrotliEncoder, GzipEncoder, ZlibEncoder, ZstdEncoder};
use tokio::io::{AsyncWrite, AsyncWriteExt};

/// Returns the pieces in a content coding, each flushed, and the end. A coding that is not `deflate`, `br` or `zstd` is
/// gzip.
///
/// # Errors
/// Returns an error of the encoder.
pub async fn compressed(coding: &str, pieces: &[impl AsRef<[u8]>]) -> io::Result<Vec<Vec<u8>>> {
    match coding {
        "deflate" => written(ZlibEncoder::new(Vec::new()), ZlibEncoder::get_ref, pieces).await,
        "br" => written(BrotliEncoder::new(Vec::new()), BrotliEncoder::get_ref, pieces).await,
        "zstd" => written(ZstdEncoder::new(Vec::new()), ZstdEncoder::get_ref, pieces).await,
        _ => written(GzipEncoder::new(Vec::new()), GzipEncoder::get_ref, pieces).await,
    }
}

async fn written<E: AsyncWrite + Unpin>(
    mut encoder: E,
    output: impl Fn(&E) -> &Vec<u8>,
    pieces: &[impl AsRef<[u8]>],
) -> io::Result<Vec<Vec<u8>>> {
    let (mut frames, mut before) = (Vec::new(), 0);
    for piece in pieces {
        encoder.write_all(piece.as_ref()).await?;
        encoder.flush().await?;
        frames.push(output(&encoder)[before..].to_vec());
        before = output(&encoder).len();
    }
    encoder.shutdown().await?;
    frames.push(output(&encoder)[before..].to_vec());
    Ok(frames)
}

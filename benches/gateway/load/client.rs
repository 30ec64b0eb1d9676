//! One connection of the load, and one checked answer.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use memchr::memmem;
use tokio::{net::TcpStream, time::Instant};

use crate::{Result, scenario};

/// The request that is repeated, and the expected response.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    /// Where.
    pub(crate) path: String,
    /// Bodies sent in turn.
    pub(crate) bodies: Arc<[Bytes]>,
    /// The whole answer's length; a stream without end has none.
    pub(crate) length: Option<usize>,
    /// The units of work of a response: events of a stream, otherwise 1.
    pub(crate) units: usize,
}

impl Ask {
    fn request(&self, n: usize) -> Result<Request<Full<Bytes>>> {
        let body = self.bodies[n % self.bodies.len()].clone();
        let request = Request::post(&self.path)
            .header(header::HOST, "bench")
            .header(header::USER_AGENT, "bench/1")
            .header(header::ACCEPT, "application/json")
            .header(header::AUTHORIZATION, "Bearer sk-bench-client")
            .header(header::CONTENT_TYPE, "application/json");
        Ok(request.body(Full::new(body))?)
    }
}

/// A good answer's figures.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shot {
    /// To the end of the answer.
    pub(crate) whole: Duration,
    /// To the first content of a stream.
    pub(crate) first: Option<Duration>,
    /// In how many pieces the body came.
    pub(crate) pieces: u64,
}

/// A connection kept open.
#[derive(Debug)]
pub(crate) struct Connection {
    sender: http1::SendRequest<Full<Bytes>>,
}

impl Connection {
    pub(crate) async fn open(to: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self { sender })
    }

    /// Returns true if no further request can be sent on this connection.
    pub(crate) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Sends the `n`th request and takes the head of the answer, which must be a 200.
    pub(crate) async fn send(&mut self, ask: &Ask, n: usize) -> Result<Response<Incoming>> {
        self.sender.ready().await?;
        let response = self.sender.send_request(ask.request(n)?).await?;
        if response.status() == StatusCode::OK {
            return Ok(response);
        }
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        Err(format!("status {status}: {}", String::from_utf8_lossy(&body[..body.len().min(300)])).into())
    }

    /// Sends the `n`th request, takes the whole answer and checks its length. Times count from `since`.
    pub(crate) async fn shoot(&mut self, ask: &Ask, n: usize, since: Instant) -> Result<Shot> {
        let mut body = self.send(ask, n).await?.into_body();
        let (mut length, mut pieces, mut first) = (0, 0, None);
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame?.into_data() else { continue };
            if first.is_none() && ask.units > 1 && memmem::find(&data, scenario::CONTENT).is_some() {
                first = Some(since.elapsed());
            }
            length += data.len();
            pieces += 1;
        }
        match ask.length {
            Some(expected) if expected != length => {
                Err(format!("an answer of {length} bytes instead of {expected}").into())
            }
            _ => Ok(Shot { whole: since.elapsed(), first, pieces }),
        }
    }

    /// Asks for a stream and holds it open once its first content is there.
    pub(crate) async fn hold(&mut self, ask: &Ask) -> Result<Incoming> {
        let mut body = self.send(ask, 0).await?.into_body();
        while let Some(frame) = body.frame().await {
            let found = frame?.data_ref().is_some_and(|data| memmem::find(data, scenario::CONTENT).is_some());
            if found {
                return Ok(body);
            }
        }
        Err("a stream without content".into())
    }
}

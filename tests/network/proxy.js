// A forward proxy on node's own HTTP: absolute form and CONNECT. It counts what it is asked, and says so at /counters.
// Hosts that end in .test are this machine. DRIP=1: answers to CONNECT come byte by byte. USER_WANTED=name:password: others are
// refused.
'use strict';
const http = require('http');
const net = require('net');

const counters = { connections: 0, requests: 0, tunnels: 0, refused: 0, users: {}, asked: {} };
const agent = new http.Agent({ keepAlive: true, maxSockets: 64 });
const count = (table, key) => { table[key] = (table[key] || 0) + 1; };
const place = (host) => (host.endsWith('.test') ? '127.0.0.1' : host);

function admits(request) {
  const value = request.headers['proxy-authorization'] || '';
  const user = Buffer.from(value.replace(/^Basic /, ''), 'base64').toString();
  count(counters.users, user);
  const admitted = !process.env.USER_WANTED || user === process.env.USER_WANTED;
  if (!admitted) counters.refused += 1;
  return admitted;
}

const server = http.createServer((request, response) => {
  if (request.url === '/counters') {
    // Whoever asks for them came over a connection, too.
    response.end(JSON.stringify({ ...counters, connections: counters.connections - 1 }));
    return;
  }
  counters.requests += 1;
  const target = new URL(request.url);
  count(counters.asked, target.host);
  if (!admits(request)) {
    response.writeHead(407, { 'Proxy-Authenticate': 'Basic realm="proxy"', 'Content-Length': 0 });
    response.end();
    return;
  }
  const headers = { ...request.headers };
  delete headers['proxy-authorization'];
  const options = {
    host: place(target.hostname), port: target.port || 80, path: target.pathname + target.search,
    method: request.method, headers, agent,
  };
  const onward = http.request(options, (answer) => {
    response.writeHead(answer.statusCode, answer.headers);
    answer.pipe(response);
  });
  onward.on('error', () => { response.writeHead(502); response.end(); });
  request.pipe(onward);
});

function say(socket, text, then) {
  if (!process.env.DRIP) return socket.write(text, then);
  let at = 0;
  const next = () => (at === text.length ? then() : socket.write(text[at++], () => setTimeout(next, 10)));
  return next();
}

server.on('connect', (request, socket, head) => {
  counters.tunnels += 1;
  count(counters.asked, request.url);
  socket.setNoDelay(true);
  socket.on('error', () => {});
  if (!admits(request)) {
    socket.end('HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm="proxy"\r\n\r\n');
    return;
  }
  const [, host, port] = request.url.match(/^(.*):(\d+)$/);
  const onward = net.connect(Number(port), place(host), () => {
    say(socket, 'HTTP/1.1 200 Connection established\r\nVia: 1.1 node\r\n\r\n', () => {
      onward.write(head);
      onward.pipe(socket);
      socket.pipe(onward);
    });
  });
  onward.on('error', () => socket.end('HTTP/1.1 502 Bad Gateway\r\n\r\n'));
  socket.on('close', () => onward.destroy());
});
server.on('connection', () => { counters.connections += 1; });
server.keepAliveTimeout = 0;
server.listen(0, '127.0.0.1', () => console.log(server.address().port));

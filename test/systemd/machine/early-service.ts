/** The unit of a service that somebody forgot: it takes connections on this TCP port as early as a program can. */
export function earlyService(port: number): string {
  const program = `import socket; s=socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(('', ${port})); s.listen(64); exec('while True: s.accept()[0].close()')`;
  return `[Unit]
DefaultDependencies=no
After=local-fs.target
[Service]
ExecStart=/usr/bin/python3 -c "${program}"
[Install]
WantedBy=sysinit.target
`;
}

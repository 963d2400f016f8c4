package remote

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync/atomic"
	"testing"

	"golang.org/x/crypto/ssh"
)

// server is an SSH server that passes every command to handle.
type server struct {
	listener net.Listener
	hostKey  ssh.PublicKey
	client   string // private key that it accepts, PEM
	open     atomic.Int32
	accepts  map[string]bool // environment variables, like AcceptEnv
	handle   func(session channel, command string, environment map[string]string) (exitCode uint32)
}

type channel struct{ ssh.Channel }

func newKey(t *testing.T) (ssh.Signer, string) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	return signer, string(pem.EncodeToMemory(block))
}

func newServer(t *testing.T) *server {
	t.Helper()
	host, _ := newKey(t)
	client, clientPem := newKey(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{listener: listener, hostKey: host.PublicKey(), client: clientPem, accepts: map[string]bool{}}
	config := &ssh.ServerConfig{PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		if string(key.Marshal()) != string(client.PublicKey().Marshal()) {
			return nil, fmt.Errorf("unknown key")
		}
		return &ssh.Permissions{}, nil
	}}
	config.AddHostKey(host)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go s.serve(conn, config)
		}
	}()
	t.Cleanup(func() { listener.Close() })
	return s
}

func (s *server) serve(raw net.Conn, config *ssh.ServerConfig) {
	conn, channels, requests, err := ssh.NewServerConn(raw, config)
	if err != nil {
		return
	}
	s.open.Add(1)
	defer s.open.Add(-1)
	go ssh.DiscardRequests(requests)
	for request := range channels {
		session, requests, err := request.Accept()
		if err != nil {
			continue
		}
		go s.session(channel{session}, requests)
	}
	_ = conn.Wait()
}

func (s *server) session(session channel, requests <-chan *ssh.Request) {
	environment := map[string]string{}
	for request := range requests {
		switch request.Type {
		case "env":
			var variable struct{ Name, Value string }
			_ = ssh.Unmarshal(request.Payload, &variable)
			if s.accepts[variable.Name] {
				environment[variable.Name] = variable.Value
			}
			_ = request.Reply(s.accepts[variable.Name], nil)
		case "exec":
			var exec struct{ Command string }
			_ = ssh.Unmarshal(request.Payload, &exec)
			_ = request.Reply(true, nil)
			go func() {
				code := s.handle(session, exec.Command, environment)
				_, _ = session.SendRequest("exit-status", false, ssh.Marshal(struct{ Code uint32 }{code}))
				session.Close()
			}()
		default:
			_ = request.Reply(false, nil)
		}
	}
}

// connection returns the connection that a program would use for this server.
func (s *server) connection() *Connection {
	host, port, _ := net.SplitHostPort(s.listener.Addr().String())
	number, _ := strconv.ParseFloat(port, 64)
	hostKey := string(ssh.MarshalAuthorizedKey(s.hostKey))
	limit, timeout := 2, 1
	return &Connection{endpoint: endpoint{
		Host: host, Port: &number, PrivateKey: &s.client, HostKey: &hostKey, DialErrorLimit: &limit, PerDialTimeout: &timeout,
	}}
}

func (c channel) input() string {
	data, _ := io.ReadAll(c)
	return string(data)
}

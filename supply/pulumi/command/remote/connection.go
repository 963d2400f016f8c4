package remote

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	p "github.com/pulumi/pulumi-go-provider"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

type endpoint struct {
	User               *string  `pulumi:"user,optional"`
	Password           *string  `pulumi:"password,optional" provider:"secret"`
	Host               string   `pulumi:"host"`
	Port               *float64 `pulumi:"port,optional"`
	PrivateKey         *string  `pulumi:"privateKey,optional" provider:"secret"`
	PrivateKeyPassword *string  `pulumi:"privateKeyPassword,optional" provider:"secret"`
	AgentSocketPath    *string  `pulumi:"agentSocketPath,optional"`
	DialErrorLimit     *int     `pulumi:"dialErrorLimit,optional"`
	PerDialTimeout     *int     `pulumi:"perDialTimeout,optional"`
	HostKey            *string  `pulumi:"hostKey,optional"`
}

// ProxyConnection is the bastion host of a connection.
type ProxyConnection struct{ endpoint }

// Connection describes how to reach a machine over SSH.
type Connection struct {
	endpoint
	Proxy *ProxyConnection `pulumi:"proxy,optional"`
}

// or returns what value points at, or otherwise if it is nil.
func or[T any](value *T, otherwise T) T {
	if value != nil {
		return *value
	}
	return otherwise
}

func (e endpoint) address() string {
	return net.JoinHostPort(e.Host, strconv.Itoa(int(or(e.Port, 22))))
}

func (e endpoint) timeout() time.Duration {
	return time.Duration(or(e.PerDialTimeout, 15)) * time.Second
}

func (e endpoint) clientConfig() (*ssh.ClientConfig, error) {
	config := &ssh.ClientConfig{User: or(e.User, "root"), Timeout: e.timeout(), HostKeyCallback: ssh.InsecureIgnoreHostKey()}
	if e.HostKey != nil {
		key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(*e.HostKey))
		if err != nil {
			return nil, fmt.Errorf("hostKey: %w", err)
		}
		config.HostKeyCallback = ssh.FixedHostKey(key)
		// Without this, the two sides may negotiate another of the machine's keys, which the callback then rejects.
		config.HostKeyAlgorithms = []string{key.Type()}
		if key.Type() == ssh.KeyAlgoRSA {
			config.HostKeyAlgorithms = []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}
		}
	}
	auth, err := e.authentication()
	config.Auth = auth
	return config, err
}

func (e endpoint) authentication() ([]ssh.AuthMethod, error) {
	var methods []ssh.AuthMethod
	if e.PrivateKey != nil {
		signer, err := parsePrivateKey(*e.PrivateKey, e.PrivateKeyPassword)
		if err != nil {
			return nil, fmt.Errorf("privateKey: %w", err)
		}
		methods = append(methods, ssh.PublicKeys(signer))
	}
	if e.Password != nil {
		methods = append(methods, ssh.Password(*e.Password), ssh.KeyboardInteractive(
			func(_, _ string, questions []string, _ []bool) ([]string, error) {
				answers := make([]string, len(questions))
				for i := range answers {
					answers[i] = *e.Password
				}
				return answers, nil
			}))
	}
	// The agent from the environment is used only if no other method is given. Upstream always dials it, so that a stale
	// socket from a closed session fails the command even though there is a key.
	if e.AgentSocketPath != nil || len(methods) == 0 {
		if socket := or(e.AgentSocketPath, os.Getenv("SSH_AUTH_SOCK")); socket != "" {
			conn, err := net.Dial("unix", socket)
			if err != nil {
				return nil, err
			}
			methods = append(methods, ssh.PublicKeysCallback(agent.NewClient(conn).Signers))
		}
	}
	return methods, nil
}

func parsePrivateKey(key string, password *string) (ssh.Signer, error) {
	if password != nil {
		return ssh.ParsePrivateKeyWithPassphrase([]byte(key), []byte(*password))
	}
	return ssh.ParsePrivateKey([]byte(key))
}

// dial opens a connection, through the proxy if there is one, and retries.
func (c Connection) dial(ctx context.Context) (*ssh.Client, error) {
	direct := (&net.Dialer{}).DialContext
	if c.Proxy == nil {
		return c.dialWithRetry(ctx, "Dial", direct)
	}
	hop, err := c.Proxy.dialWithRetry(ctx, "Dial proxy", direct)
	if err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}
	client, err := c.dialWithRetry(ctx, "Dial", hop.DialContext)
	if err != nil {
		hop.Close()
		return nil, err
	}
	go func() { _ = client.Wait(); hop.Close() }()
	return client, nil
}

type dialer func(ctx context.Context, network, address string) (net.Conn, error)

// Delay between two attempts, the same as upstream: the initial delay, its growth factor and its maximum.
const (
	firstDelay = 100 * time.Millisecond
	backoff    = 1.5
	maxDelay   = 5 * time.Second
)

// dialWithRetry dials until it succeeds, the error limit is exceeded (0 or less means no limit), or ctx ends.
func (e endpoint) dialWithRetry(ctx context.Context, what string, dial dialer) (*ssh.Client, error) {
	config, err := e.clientConfig()
	if err != nil {
		return nil, err
	}
	limit, shown := or(e.DialErrorLimit, 10), "inf"
	if limit > 0 {
		shown = strconv.Itoa(limit)
	}
	delay := firstDelay
	for attempts := 1; ; attempts++ {
		client, err := e.handshake(ctx, config, dial)
		if err == nil {
			return client, nil
		}
		if limit > 0 && attempts > limit {
			return nil, fmt.Errorf("after %d failed attempts: %w", attempts, err)
		}
		p.GetLogger(ctx).InfoStatusf("%s %d/%s failed: retrying", what, attempts, shown)
		select {
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), err)
		case <-time.After(delay):
		}
		delay = min(time.Duration(float64(delay)*backoff), maxDelay)
	}
}

// handshake makes one attempt. perDialTimeout bounds the handshake as well: a machine that is shutting down, or still
// booting, may accept a connection and then send nothing.
func (e endpoint) handshake(ctx context.Context, config *ssh.ClientConfig, dial dialer) (*ssh.Client, error) {
	ctx, cancel := context.WithTimeout(ctx, e.timeout())
	defer cancel()
	raw, err := dial(ctx, "tcp", e.address())
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { raw.Close() })
	conn, channels, requests, err := ssh.NewClientConn(raw, e.address(), config)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		raw.Close()
		return nil, err
	}
	return ssh.NewClient(conn, channels, requests), nil
}

package remote

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"sync"

	p "github.com/pulumi/pulumi-go-provider"
	"golang.org/x/crypto/ssh"
)

// run runs a command on the machine and keeps what it prints. An error includes the command and its whole output.
func (c *CommandOutputs) run(ctx context.Context, command string) error {
	client, err := c.Connection.dial(ctx)
	if err != nil {
		return err
	}
	defer client.Close() // upstream keeps connections open until the provider exits, which can exhaust sshd's MaxStartups
	session, err := client.NewSession()
	if err != nil {
		return err
	}
	defer session.Close()
	if err := c.setEnvironment(ctx, session); err != nil {
		return err
	}
	if c.Stdin != nil {
		session.Stdin = strings.NewReader(*c.Stdin)
	}
	out := newStreams(ctx, or(c.Logging, LogStdoutAndStderr))
	session.Stdout, session.Stderr = &out.stdout, &out.stderr
	done := make(chan error, 1)
	go func() { done <- session.Run(command) }()
	select {
	case err = <-done:
	case <-ctx.Done():
		_ = session.Signal(ssh.SIGTERM)
		client.Close()
		<-done
		err = ctx.Err()
	}
	out.flush()
	if err != nil {
		return fmt.Errorf("%w: running %q:\n%s", err, command, out.both.String())
	}
	c.Stdout, c.Stderr = out.stdout.text(), out.stderr.text()
	return nil
}

// setEnvironment sends variables, which the machine's sshd must accept: see AcceptEnv in sshd_config(5).
func (c *CommandOutputs) setEnvironment(ctx context.Context, session *ssh.Session) error {
	if or(c.AddPreviousOutputInEnv, true) {
		for key, value := range map[string]string{"PULUMI_COMMAND_STDOUT": c.Stdout, "PULUMI_COMMAND_STDERR": c.Stderr} {
			if value == "" {
				continue
			}
			if err := session.Setenv(key, value); err != nil {
				p.GetLogger(ctx).Debugf("the machine's sshd does not accept %s: %v", key, err)
			}
		}
	}
	for key, value := range c.Environment {
		if err := session.Setenv(key, value); err != nil {
			return fmt.Errorf("could not set environment variable %q: %w; "+
				"let the machine's sshd accept it (AcceptEnv), or set it in the command itself", key, err)
		}
	}
	return nil
}

// streams collects a command's output, each stream alone and both interleaved, and shows its lines while it runs.
type streams struct {
	mutex          sync.Mutex
	both           bytes.Buffer
	stdout, stderr stream
}

func newStreams(ctx context.Context, logging Logging) *streams {
	show := func(shown bool) func(string) {
		if !shown {
			return func(string) {}
		}
		return func(line string) { p.GetLogger(ctx).Info(line) }
	}
	s := &streams{}
	s.stdout = stream{all: s, show: show(logging == LogStdout || logging == LogStdoutAndStderr)}
	s.stderr = stream{all: s, show: show(logging == LogStderr || logging == LogStdoutAndStderr)}
	return s
}

func (s *streams) flush() {
	s.stdout.flush()
	s.stderr.flush()
}

// stream is stdout or stderr, as a Writer for the SSH session.
type stream struct {
	all     *streams
	buffer  bytes.Buffer
	pending []byte
	show    func(line string)
}

var _ io.Writer = (*stream)(nil)

func (s *stream) Write(data []byte) (int, error) {
	s.all.mutex.Lock()
	defer s.all.mutex.Unlock()
	s.all.both.Write(data)
	s.buffer.Write(data)
	s.pending = append(s.pending, data...)
	for {
		end := bytes.IndexByte(s.pending, '\n')
		if end < 0 {
			return len(data), nil
		}
		s.show(string(s.pending[:end]))
		s.pending = s.pending[end+1:]
	}
}

// flush shows a last line that does not end in a newline.
func (s *stream) flush() {
	s.all.mutex.Lock()
	defer s.all.mutex.Unlock()
	if len(s.pending) > 0 {
		s.show(string(s.pending))
		s.pending = nil
	}
}

// text returns what was received, without the last newline.
func (s *stream) text() string { return strings.TrimSuffix(s.buffer.String(), "\n") }

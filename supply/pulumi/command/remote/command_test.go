package remote

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pulumi/pulumi-go-provider/infer"
	"golang.org/x/crypto/ssh"
)

func create(t *testing.T, inputs CommandInputs) (CommandOutputs, error) {
	t.Helper()
	command := "the command"
	if inputs.Create == nil {
		inputs.Create = &command
	}
	none := NoLogging
	inputs.Logging = &none
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	response, err := Command{}.Create(ctx, infer.CreateRequest[CommandInputs]{Name: "name", Inputs: inputs})
	return response.Output, err
}

func expectError(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one with %q", parts)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not contain %q", err, part)
		}
	}
}

func TestCommandReadsStdinAndItsOutputIsKept(t *testing.T) {
	s := newServer(t)
	s.handle = func(session channel, command string, _ map[string]string) uint32 {
		fmt.Fprintf(session, "ran %s with %s\n", command, session.input())
		fmt.Fprint(session.Stderr(), "a warning\n")
		return 0
	}
	stdin := "a secret"
	out, err := create(t, CommandInputs{Connection: s.connection(), Stdin: &stdin})
	if err != nil {
		t.Fatal(err)
	}
	if out.Stdout != "ran the command with a secret" || out.Stderr != "a warning" {
		t.Errorf("stdout %q, stderr %q", out.Stdout, out.Stderr)
	}
}

func TestErrorShowsTheCommandAndItsWholeOutput(t *testing.T) {
	s := newServer(t)
	s.handle = func(session channel, _ string, _ map[string]string) uint32 {
		fmt.Fprint(session, "on stdout\n")
		fmt.Fprint(session.Stderr(), "on stderr\n")
		return 3
	}
	_, err := create(t, CommandInputs{Connection: s.connection()})
	expectError(t, err, `Process exited with status 3: running "the command":`, "on stdout", "on stderr")
}

func TestConnectionIsClosedAfterTheCommand(t *testing.T) {
	s := newServer(t)
	s.handle = func(channel, string, map[string]string) uint32 { return 0 }
	for range 3 {
		if _, err := create(t, CommandInputs{Connection: s.connection()}); err != nil {
			t.Fatal(err)
		}
	}
	for deadline := time.Now().Add(5 * time.Second); s.open.Load() > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d connections are still open", s.open.Load())
		}
	}
}

func TestWrongHostKeyIsRejected(t *testing.T) {
	s := newServer(t)
	connection := s.connection()
	stranger, _ := newKey(t)
	key := string(ssh.MarshalAuthorizedKey(stranger.PublicKey()))
	connection.HostKey = &key
	_, err := create(t, CommandInputs{Connection: connection})
	expectError(t, err, "after 3 failed attempts", "host key mismatch")
}

func TestWrongClientKeyIsRejected(t *testing.T) {
	s := newServer(t)
	_, key := newKey(t)
	connection := s.connection()
	connection.PrivateKey = &key
	_, err := create(t, CommandInputs{Connection: connection})
	expectError(t, err, "after 3 failed attempts", "unable to authenticate")
}

func TestStaleAgentSocketDoesNotPreventUseOfAKey(t *testing.T) {
	t.Setenv("SSH_AUTH_SOCK", "/nonexistent/agent")
	s := newServer(t)
	s.handle = func(channel, string, map[string]string) uint32 { return 0 }
	if _, err := create(t, CommandInputs{Connection: s.connection()}); err != nil {
		t.Fatal(err)
	}
}

func TestSilentServerTimesOut(t *testing.T) {
	s := newServer(t)
	mute, err := net.Listen("tcp", "127.0.0.1:0") // accepts, through the kernel's backlog, and sends nothing
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	connection := s.connection()
	_, port, _ := net.SplitHostPort(mute.Addr().String())
	number, _ := strconv.ParseFloat(port, 64)
	connection.Port = &number
	started := time.Now()
	_, err = create(t, CommandInputs{Connection: connection})
	expectError(t, err, "after 3 failed attempts")
	if took := time.Since(started); took > 6*time.Second {
		t.Errorf("took %s, want three times perDialTimeout plus the delays between attempts", took)
	}
}

func TestEnvironmentMustBeAcceptedByTheServer(t *testing.T) {
	s := newServer(t)
	s.accepts["GREETING"] = true
	s.handle = func(session channel, _ string, environment map[string]string) uint32 {
		fmt.Fprint(session, environment["GREETING"])
		return 0
	}
	out, err := create(t, CommandInputs{Connection: s.connection(), Environment: map[string]string{"GREETING": "hello"}})
	if err != nil || out.Stdout != "hello" {
		t.Errorf("stdout %q, error %v", out.Stdout, err)
	}
	_, err = create(t, CommandInputs{Connection: s.connection(), Environment: map[string]string{"OTHER": "value"}})
	expectError(t, err, `could not set environment variable "OTHER"`, "AcceptEnv")
}

func TestUpdateRunsUpdateOrElseCreate(t *testing.T) {
	s := newServer(t)
	s.handle = func(session channel, command string, _ map[string]string) uint32 {
		fmt.Fprint(session, command)
		return 0
	}
	first, second := "first", "second"
	inputs := CommandInputs{Connection: s.connection(), Create: &first}
	for _, want := range []string{first, second} {
		response, err := Command{}.Update(context.Background(), infer.UpdateRequest[CommandInputs, CommandOutputs]{Inputs: inputs})
		if err != nil || response.Output.Stdout != want {
			t.Errorf("ran %q, want %q; error %v", response.Output.Stdout, want, err)
		}
		inputs.Update = &second
	}
}

func TestPreviewRunsNothing(t *testing.T) {
	command := "the command"
	inputs := CommandInputs{Connection: &Connection{endpoint: endpoint{Host: "192.0.2.1"}}, Create: &command}
	if _, err := (Command{}).Create(context.Background(), infer.CreateRequest[CommandInputs]{Inputs: inputs, DryRun: true}); err != nil {
		t.Fatal(err)
	}
}

func TestCommandEndsWithItsContext(t *testing.T) {
	s := newServer(t)
	release := make(chan struct{})
	defer close(release)
	s.handle = func(channel, string, map[string]string) uint32 { <-release; return 0 }
	command, none := "the command", NoLogging
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	inputs := CommandInputs{Connection: s.connection(), Create: &command, Logging: &none}
	_, err := Command{}.Create(ctx, infer.CreateRequest[CommandInputs]{Inputs: inputs})
	expectError(t, err, "context deadline exceeded")
}

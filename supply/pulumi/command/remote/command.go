// Package remote runs commands over SSH.
package remote

import (
	"context"
	"crypto/rand"
	"encoding/hex"

	"github.com/pulumi/pulumi-go-provider/infer"
)

// Logging selects which of a command's streams are shown while it runs.
type Logging string

const (
	LogStdout          Logging = "stdout"
	LogStderr          Logging = "stderr"
	LogStdoutAndStderr Logging = "stdoutAndStderr"
	NoLogging          Logging = "none"
)

// Values lists the enumeration for the schema.
func (Logging) Values() []infer.EnumValue[Logging] {
	return []infer.EnumValue[Logging]{{Value: LogStdout}, {Value: LogStderr}, {Value: LogStdoutAndStderr}, {Value: NoLogging}}
}

// CommandInputs are the properties that a program sets.
type CommandInputs struct {
	Connection             *Connection       `pulumi:"connection" provider:"secret"`
	Environment            map[string]string `pulumi:"environment,optional"`
	Triggers               *[]any            `pulumi:"triggers,optional" provider:"replaceOnChanges"`
	Create                 *string           `pulumi:"create,optional"`
	Update                 *string           `pulumi:"update,optional"`
	Delete                 *string           `pulumi:"delete,optional"`
	Stdin                  *string           `pulumi:"stdin,optional"`
	Logging                *Logging          `pulumi:"logging,optional"`
	AddPreviousOutputInEnv *bool             `pulumi:"addPreviousOutputInEnv,optional"`
}

// CommandOutputs are the properties that are kept in the state.
type CommandOutputs struct {
	CommandInputs
	Stdout string `pulumi:"stdout"`
	Stderr string `pulumi:"stderr"`
}

// Command is the resource command:remote:Command.
type Command struct{}

// Create runs `create`, if it is set.
func (Command) Create(
	ctx context.Context, request infer.CreateRequest[CommandInputs],
) (infer.CreateResponse[CommandOutputs], error) {
	out := CommandOutputs{CommandInputs: request.Inputs}
	if request.DryRun {
		return infer.CreateResponse[CommandOutputs]{Output: out}, nil
	}
	var err error
	if request.Inputs.Create != nil {
		err = out.run(ctx, *request.Inputs.Create)
	}
	return infer.CreateResponse[CommandOutputs]{ID: newID(request.Name), Output: out}, err
}

// Update runs `update`, or `create` if `update` is not set.
func (Command) Update(
	ctx context.Context, request infer.UpdateRequest[CommandInputs, CommandOutputs],
) (infer.UpdateResponse[CommandOutputs], error) {
	out := CommandOutputs{CommandInputs: request.Inputs, Stdout: request.State.Stdout, Stderr: request.State.Stderr}
	command := request.Inputs.Update
	if command == nil {
		command = request.Inputs.Create
	}
	var err error
	if !request.DryRun && command != nil {
		err = out.run(ctx, *command)
	}
	return infer.UpdateResponse[CommandOutputs]{Output: out}, err
}

// Delete runs `delete`, if it is set.
func (Command) Delete(ctx context.Context, request infer.DeleteRequest[CommandOutputs]) (infer.DeleteResponse, error) {
	if request.State.Delete == nil {
		return infer.DeleteResponse{}, nil
	}
	return infer.DeleteResponse{}, request.State.run(ctx, *request.State.Delete)
}

// WireDependencies declares which outputs are already known in the preview of an update: all that are copied from inputs,
// but not what the command prints.
func (Command) WireDependencies(f infer.FieldSelector, in *CommandInputs, out *CommandOutputs) {
	f.OutputField(&out.Connection).DependsOn(f.InputField(&in.Connection))
	f.OutputField(&out.Environment).DependsOn(f.InputField(&in.Environment))
	f.OutputField(&out.Triggers).DependsOn(f.InputField(&in.Triggers))
	f.OutputField(&out.Create).DependsOn(f.InputField(&in.Create))
	f.OutputField(&out.Update).DependsOn(f.InputField(&in.Update))
	f.OutputField(&out.Delete).DependsOn(f.InputField(&in.Delete))
	f.OutputField(&out.Stdin).DependsOn(f.InputField(&in.Stdin))
	f.OutputField(&out.Logging).DependsOn(f.InputField(&in.Logging))
	f.OutputField(&out.AddPreviousOutputInEnv).DependsOn(f.InputField(&in.AddPreviousOutputInEnv))
}

// newID appends eight random digits to the resource's name, as Pulumi's autonaming does.
func newID(name string) string {
	random := make([]byte, 4)
	_, _ = rand.Read(random) // never fails
	return name + hex.EncodeToString(random)
}

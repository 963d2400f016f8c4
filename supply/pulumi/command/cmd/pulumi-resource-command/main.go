// Command pulumi-resource-command serves remote.Command of @pulumi/command v1, the only type of that package that the
// project uses, on a machine that cannot download the official plugin. It behaves like that plugin (pulumi-command v1.2.1);
// comments in package remote explain every difference.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/pulumi/pulumi-go-provider/infer"

	"kubernetes-from-scratch/provider-command/remote"
)

// version of the npm package @pulumi/command whose types are served; set by the linker.
var version string

func main() {
	provider, err := infer.NewProviderBuilder().WithResources(infer.Resource(remote.Command{})).Build()
	if err == nil {
		err = provider.Run(context.Background(), "command", version)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

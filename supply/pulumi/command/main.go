// Command pulumi-resource-command serves remote.Command of @pulumi/command v1, the one type of that package that the
// project uses, on a machine that cannot download the official plugin. It behaves as that does (pulumi-command v1.2.1);
// where it differs, a comment in package remote says why.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/pulumi/pulumi-go-provider/infer"

	"kubernetes-from-scratch/provider-command/remote"
)

// version of the npm package @pulumi/command whose types are served.
const version = "1.2.1"

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

package main

import (
	"context"
	"fmt"
	"os"

	"github.com/pulumi/pulumi-go-provider/infer"

	"kubernetes-from-scratch/provider-command/remote"
)

func main() {
	prov, err := infer.NewProviderBuilder().WithResources(infer.Resource(remote.Command{}), infer.Resource(remote.CopyToRemote{})).Build()
	if err == nil {
		err = prov.Run(context.Background(), "command", "1.2.1")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// Command pulumi-resource-aws serves the types of @pulumi/aws v6 that the project uses, by driving a stock
// terraform-provider-aws v5 through Pulumi's Terraform bridge. It replaces the official plugin, which links the same
// Terraform provider into its binary, on a machine that cannot download that plugin.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/pulumi/pulumi-terraform-bridge/v3/dynamic/internal/shim/run"
	"github.com/pulumi/pulumi-terraform-bridge/v3/dynamic/kubernetes-from-scratch/internal/schema"
	pfbridge "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/pf/tfbridge"
)

// The Terraform provider is killed when the thread that started it ends (see `withParent` in supply/pulumi/built.ts), so it
// is started from the main thread, which lives as long as the process.
func init() { runtime.LockOSThread() }

func main() {
	ctx := context.Background()
	child, err := startTerraformProvider(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	defer child.Close()
	info := providerInfo(ctx, child)
	pfbridge.Main(ctx, "aws", info, pfbridge.ProviderMetadata{XGetSchema: schema.Generate(info)})
}

// startTerraformProvider runs the executable that TERRAFORM_PROVIDER_AWS names. Its file name must begin with
// `terraform-provider-aws`.
func startTerraformProvider(ctx context.Context) (run.Provider, error) {
	path := os.Getenv("TERRAFORM_PROVIDER_AWS")
	if path == "" {
		return nil, errors.New("TERRAFORM_PROVIDER_AWS is not set; it must hold the path of the Terraform AWS provider that " +
			"this plugin drives (the launcher that supply/pulumi/built.ts installs sets it)")
	}
	child, err := run.LocalProvider(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", path, err)
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		<-signals
		_ = child.Close()
		os.Exit(128 + int(syscall.SIGTERM))
	}()
	return child, nil
}

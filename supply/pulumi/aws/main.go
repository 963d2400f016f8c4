// Command pulumi-resource-aws serves the types of @pulumi/aws v6 that the project uses, by driving a stock
// terraform-provider-aws v5 through Pulumi's Terraform bridge. It takes the place of the official plugin, whose code does
// the same with the same Terraform provider linked in, on a machine that cannot download it.
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
	pfbridge "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/pf/tfbridge"
)

// The Terraform provider is told to die with the thread that starts it (see cloud/plugins/built.ts), so it is
// started from the main thread, which lives as long as the process.
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
	pfbridge.Main(ctx, "aws", info, pfbridge.ProviderMetadata{XGetSchema: generateSchema(info)})
}

// startTerraformProvider runs the executable that TERRAFORM_PROVIDER_AWS names; what it is called starts with
// `terraform-provider-aws`.
func startTerraformProvider(ctx context.Context) (run.Provider, error) {
	path := os.Getenv("TERRAFORM_PROVIDER_AWS")
	if path == "" {
		return nil, errors.New("TERRAFORM_PROVIDER_AWS must name the Terraform AWS provider that this plugin drives; " +
			"cloud/plugins sets it where it installs the plugin")
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

// Command pulumi-resource-tls serves the types of @pulumi/tls v5 that the project uses. Like the official plugin, it runs
// HashiCorp's TLS provider in process, through Pulumi's Terraform bridge.
package main

import (
	"context"

	terraform "github.com/hashicorp/terraform-provider-tls/kubernetes-from-scratch"
	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"

	"github.com/pulumi/pulumi-terraform-bridge/v3/dynamic/kubernetes-from-scratch/internal/schema"
	pfbridge "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/pf/tfbridge"
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"
)

// version of the npm package @pulumi/tls whose types are served; set by the linker.
var version string

// resources are served, by Terraform type.
var resources = map[string]string{
	"tls_private_key":         "tls:index/privateKey:PrivateKey",
	"tls_cert_request":        "tls:index/certRequest:CertRequest",
	"tls_locally_signed_cert": "tls:index/locallySignedCert:LocallySignedCert",
	"tls_self_signed_cert":    "tls:index/selfSignedCert:SelfSignedCert",
}

func main() {
	info := tfbridge.ProviderInfo{
		P:              pfbridge.ShimProvider(terraform.NewProvider()),
		Name:           "tls",
		Version:        version,
		ResourcePrefix: "tls",
		MetadataInfo:   &tfbridge.MetadataInfo{Path: "", Data: tfbridge.ProviderMetadata(nil)},
		Resources:      map[string]*tfbridge.ResourceInfo{},
		IgnoreMappings: []string{"tls_certificate", "tls_public_key"}, // data sources that the project does not use
	}
	for name, token := range resources {
		info.Resources[name] = &tfbridge.ResourceInfo{Tok: tokens.Type(token)}
	}
	pfbridge.Main(context.Background(), "tls", info, pfbridge.ProviderMetadata{XGetSchema: schema.Generate(info)})
}

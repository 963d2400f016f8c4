// Package terraform exports HashiCorp's TLS provider, which is internal to its module.
package terraform

import (
	"github.com/hashicorp/terraform-plugin-framework/provider"
	tls "github.com/hashicorp/terraform-provider-tls/internal/provider"
)

// NewProvider returns the provider.
func NewProvider() provider.Provider { return tls.New() }

// The path lies below the provider so that Go allows an import of its internal package. Built only as part of ../go.mod,
// which replaces this path by this directory.
module github.com/hashicorp/terraform-provider-tls/kubernetes-from-scratch

go 1.26

require (
	github.com/hashicorp/terraform-plugin-framework v1.19.0
	github.com/hashicorp/terraform-provider-tls v1.2.1-0.20230117062332-afdd54107aba
)

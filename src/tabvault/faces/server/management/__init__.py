"""
The management interface: this server as a resource of Azure Resource Manager, ``Microsoft.AnalysisServices/servers``.

So programs written for Azure Analysis Services configure it: the client libraries of Azure, templates, scripts. Source:
the REST API specification of the service, versions 2017-08-01 and 2017-08-01-beta.
"""

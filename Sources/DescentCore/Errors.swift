@_exported public import DescentErrors

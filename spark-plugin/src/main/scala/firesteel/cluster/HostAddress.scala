package firesteel.cluster

/** Addresses of hosts, as Spark writes them. */
private[firesteel] object HostAddress {

  /** Returns an address without the brackets that Spark puts around an IPv6 address. */
  def withoutBrackets(host: String): String = host.stripPrefix("[").stripSuffix("]")
}

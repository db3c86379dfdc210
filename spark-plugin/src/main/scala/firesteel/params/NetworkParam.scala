package firesteel.params

import firesteel.network.Network
import org.apache.spark.ml.param.{Param, Params}

/** A parameter that holds a network; kept as the network's JSON where parameters are saved. */
final class NetworkParam(parent: Params, name: String, doc: String)
    extends Param[Network](parent, name, doc) {
  override def jsonEncode(value: Network): String = value.toJson
  override def jsonDecode(json: String): Network = Network.fromJson(json)
}

/** The network that is trained. */
trait HasNetwork extends Params {

  /** The network that is trained. Required. */
  final val network: NetworkParam = new NetworkParam(this, "network", "the network that is trained")

  final def getNetwork: Network = $(network)
}

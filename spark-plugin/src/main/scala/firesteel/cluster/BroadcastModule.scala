package firesteel.cluster

import firesteel.network.TorchScriptArchive
import org.apache.spark.SparkContext
import org.apache.spark.broadcast.Broadcast

/** The archive of a TorchScript network, broadcast to the tasks of one fit: once for each executor.
  *
  * @param context
  *   the context that broadcasts it
  * @param broadcastBytes
  *   none for a graph of layers
  */
private[firesteel] final class BroadcastModule private (
    @transient context: SparkContext,
    broadcastBytes: Option[Broadcast[Array[Byte]]]
) extends AutoCloseable
    with Serializable {

  /** The archive as native code takes it: null if there is none. */
  def bytes: Array[Byte] = broadcastBytes.map(_.value).orNull

  /** Destroys the broadcast. A stopped context has already done so. */
  override def close(): Unit =
    broadcastBytes.foreach(broadcast => if (!context.isStopped) broadcast.destroy())
}

private[firesteel] object BroadcastModule {

  /** Broadcasts a module's archive, if there is one. */
  def broadcast(context: SparkContext, module: Option[TorchScriptArchive]): BroadcastModule =
    new BroadcastModule(context, module.map(archive => context.broadcast(archive.bytes)))
}

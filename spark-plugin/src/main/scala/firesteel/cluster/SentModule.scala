package firesteel.cluster

import firesteel.network.Archive
import org.apache.spark.SparkContext
import org.apache.spark.broadcast.Broadcast

/** The archive of a network in TorchScript as the tasks of one fit get it: once for each executor.
  *
  * @param context
  *   the context that sends it
  * @param sent
  *   nothing for a graph of layers
  */
private[firesteel] final class SentModule private (
    @transient context: SparkContext,
    sent: Option[Broadcast[Array[Byte]]]
) extends AutoCloseable
    with Serializable {

  /** The archive as native code takes it: null if there is none. */
  def bytes: Array[Byte] = sent.map(_.value).orNull

  /** Takes it back from the executors; a stopped context has done so. */
  override def close(): Unit =
    sent.foreach(broadcast => if (!context.isStopped) broadcast.destroy())
}

private[firesteel] object SentModule {

  /** Sends a module's archive, if there is one. */
  def of(context: SparkContext, module: Option[Archive]): SentModule =
    new SentModule(context, module.map(archive => context.broadcast(archive.bytes)))
}

package firesteel.plugin

import java.util.{Collections, Map => JavaMap}

import com.codahale.metrics.{Gauge, MetricRegistry}
import firesteel.bridge.{NativeMetrics, NativeRuntime}

import org.apache.spark.SparkContext
import org.apache.spark.api.plugin.{DriverPlugin, ExecutorPlugin, PluginContext, SparkPlugin}

/** Spark plugin of Firesteel, set by `spark.plugins=firesteel.plugin.FiresteelPlugin`. It checks the configuration and
  * loads the native library when the driver and the executors start instead of at the first fit, and reports
  * Firesteel's counters to Spark's metric system. Everything else works without it.
  */
final class FiresteelPlugin extends SparkPlugin {
  override def driverPlugin(): DriverPlugin = new FiresteelDriverPlugin

  override def executorPlugin(): ExecutorPlugin = new FiresteelExecutorPlugin
}

private final class FiresteelDriverPlugin extends DriverPlugin {
  override def init(context: SparkContext, plugin: PluginContext): JavaMap[String, String] = {
    SupportedSpark.check()
    Configuration.check(context.getConf)
    NativeSetup.load(context.getConf, gpu = plugin.resources().containsKey("gpu"))
    Collections.emptyMap()
  }

  override def registerMetrics(application: String, plugin: PluginContext): Unit =
    PluginMetrics.register(plugin.metricRegistry())

  override def shutdown(): Unit = NativeRuntime.release()
}

private final class FiresteelExecutorPlugin extends ExecutorPlugin {
  override def init(plugin: PluginContext, fromDriver: JavaMap[String, String]): Unit = {
    NativeSetup.load(plugin.conf(), gpu = plugin.resources().containsKey("gpu"))
    PluginMetrics.register(plugin.metricRegistry())
  }

  override def shutdown(): Unit = NativeRuntime.release()
}

/** The counters of a process as gauges: in the driver those of all workers together, in an executor its own. */
private[plugin] object PluginMetrics {
  private val gauges: Seq[(String, NativeMetrics => Any)] = Seq(
    "commits" -> (_.commits),
    "pulls" -> (_.pulls),
    "bytesSent" -> (_.bytesSent),
    "bytesReceived" -> (_.bytesReceived),
    "stalenessMean" -> (_.stalenessMean),
    "stalenessMax" -> (_.stalenessMax),
    "rows" -> (_.rows),
    "compressionRatio" -> (_.compressionRatio),
    "compressionError" -> (_.compressionError)
  )

  /** Adds one gauge for each counter, named after it. */
  def register(registry: MetricRegistry): Unit =
    gauges.foreach { case (name, read) =>
      registry.register(
        name,
        new Gauge[Any] {
          override def getValue: Any = read(NativeRuntime.metrics())
        }
      )
    }
}

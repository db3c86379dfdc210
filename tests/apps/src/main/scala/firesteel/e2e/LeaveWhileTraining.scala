package firesteel.e2e

import firesteel.classification.NetworkClassifier
import firesteel.network._
import org.apache.spark.sql.SparkSession

/** Calls `System.exit` while tasks train.
  *
  * Arguments: `data`, `code` (the exit code).
  */
object LeaveWhileTraining {
  def main(args: Array[String]): Unit = {
    val options = new Options(args)
    val spark = SparkSession.builder().getOrCreate()
    val train = spark.read.parquet(s"${options.text("data")}/mnist-train.parquet")
    val classifier = new NetworkClassifier()
      .setNetwork(Network.sequential(Linear(500), ReLU, Linear(300), ReLU, Linear(10), Softmax))
      .setNumWorkers(2)
      .setEpochs(1000)
      .setShowProgress(true)
    val fit = new Thread(() => { classifier.fit(train); () }, "fit")
    fit.setDaemon(true)
    fit.start()
    Thread.sleep(options.int("seconds", 8) * 1000L)
    println("LEAVING")
    sys.exit(options.int("code", 0))
  }
}

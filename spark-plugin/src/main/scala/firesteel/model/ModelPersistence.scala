package firesteel.model

import org.apache.spark.ml.firesteel.MlPrivate
import org.apache.spark.ml.param.Params
import org.apache.spark.ml.util.{MLReader, MLWriter}

/** Writes a fitted model: its parameters as Spark writes them, the network as JSON, the weights as safetensors. */
private[firesteel] final class ModelWriter(
    model: Params,
    fitted: FittedNetwork,
    labels: Option[Seq[String]]
) extends MLWriter {
  override protected def saveImpl(path: String): Unit = {
    MlPrivate.saveMetadata(model, path, sparkSession)
    ModelFiles.write(fitted, labels, MlPrivate.location(path), sc.hadoopConfiguration)
  }
}

/** Reads a model that a [[ModelWriter]] wrote.
  *
  * @param className
  *   the name of the model's class
  * @param make
  *   returns a model, given its uid, the fitted network, and the names of its classes
  */
private[firesteel] final class ModelReader[M <: Params](
    className: String,
    make: (String, FittedNetwork, Option[Seq[String]]) => M
) extends MLReader[M] {
  override def load(path: String): M = {
    val (uid, setParams) = MlPrivate.loadMetadata(path, sparkSession, className)
    val (fitted, labels) = ModelFiles.read(MlPrivate.location(path), sc.hadoopConfiguration)
    val model = make(uid, fitted, labels)
    setParams(model)
    model
  }
}

/** Reads an estimator, which consists of its parameters.
  *
  * @param className
  *   the name of the estimator's class
  * @param make
  *   returns an estimator, given its uid
  */
private[firesteel] final class EstimatorReader[E <: Params](className: String, make: String => E)
    extends MLReader[E] {
  override def load(path: String): E = {
    val (uid, setParams) = MlPrivate.loadMetadata(path, sparkSession, className)
    val estimator = make(uid)
    setParams(estimator)
    estimator
  }
}

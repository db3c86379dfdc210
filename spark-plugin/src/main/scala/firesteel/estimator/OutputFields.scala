package firesteel.estimator

import scala.annotation.tailrec

import firesteel.data.ColumnResolver
import firesteel.network.{LayerGraph, Network, Node, TorchScript}
import org.apache.spark.ml.attribute.{AttributeGroup, NumericAttribute}
import org.apache.spark.ml.linalg.SQLDataTypes.VectorType
import org.apache.spark.sql.types.{DoubleType, StructField, StructType}
import org.json4s.JsonAST.JInt

/** The output columns of a network with any number of outputs. A column with an empty name is not produced. */
private[estimator] object OutputFields {

  /** The layers whose output has as many values as their input. */
  private val shapePreservingOps =
    Set("ReLU", "GELU", "Tanh", "Sigmoid", "Softmax", "LogSoftmax", "Identity", "Dropout")

  /** Returns a field for each output, given its name and number of values. `None` stands for an unknown number of at
    * least two.
    */
  def fields(names: Seq[String], sizes: Seq[Option[Int]]): Seq[StructField] =
    names.zip(sizes).filter(_._1.nonEmpty).map {
      case (name, Some(1)) =>
        val metadata = NumericAttribute.defaultAttr.withName(name).toMetadata()
        StructField(name, DoubleType, nullable = false, metadata)
      case (name, Some(size)) =>
        val metadata = new AttributeGroup(name, size).toMetadata()
        StructField(name, VectorType, nullable = false, metadata)
      case (name, None) => StructField(name, VectorType, nullable = false)
    }

  /** Returns the number of values of an output as far as it is known without shapes: from its last `Linear`, else from
    * its label.
    */
  def likelySize(
      network: Network,
      output: String,
      schema: StructType,
      label: String
  ): Option[Int] = {
    val nodes = network match {
      case graph: LayerGraph => graph.nodes.map(node => node.name -> node).toMap
      case _: TorchScript => Map.empty[String, Node]
    }
    @tailrec
    def last(name: String): Option[Int] = nodes.get(name) match {
      case Some(node) if shapePreservingOps(node.op) => last(node.inputs.head)
      case Some(node) if node.op == "Linear" =>
        node.args.get("out_features").collect { case JInt(size) => size.toInt }
      case _ => None
    }
    val several = ColumnResolver.holdsSeveral(ColumnResolver.field(schema, label).dataType)
    if (several) None else Some(last(output).getOrElse(1))
  }
}
